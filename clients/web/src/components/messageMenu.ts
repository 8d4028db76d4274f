import type { TimelineItem } from 'chat-client';
import { fullTime } from '../format.ts';
import { announce } from '../hooks.ts';
import { strings } from '../strings.ts';
import type { MenuGroups } from './Menu.tsx';
import type { MessageActions } from './MessageRow.tsx';

/** The menu of a message, headed by its full date. */
export function messageMenu(item: TimelineItem, actions: MessageActions): MenuGroups {
  const words = strings.message;
  return [
    {
      label: fullTime(new Date(item.at)),
      items: [
        { label: words.copy, icon: 'copy', onSelect: () => void copy(item.content) },
        ...(item.status === 'failed'
          ? ([
              { label: words.retry, icon: 'again', onSelect: () => actions.retry(item.tempId!) },
              { label: words.discard, icon: 'bin', danger: true, onSelect: () => actions.discard(item.tempId!) },
            ] as const)
          : []),
      ],
    },
  ];
}

async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    announce(strings.message.copied);
  } catch {
    // There is no clipboard over plain http, and the user may have denied it.
    announce(strings.message.copyFailed);
  }
}
