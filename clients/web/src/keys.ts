import { useState, type FocusEvent, type KeyboardEvent, type RefObject } from 'react';
import type { VirtualizerHandle } from 'virtua';
import type { Row } from './rows.ts';

interface MessageKeys {
  /** The row that has the focus, or would get it. */
  readonly current: number | undefined;
  focusLast(): void;
  readonly onKeyDown: (event: KeyboardEvent) => void;
  readonly onBlur: (event: FocusEvent) => void;
}

/** Keyboard navigation between messages: up and down, to the first and the last that are loaded. */
export function useMessageKeys(
  rows: readonly Row[], list: RefObject<VirtualizerHandle | null>, scroller: RefObject<HTMLElement | null>,
): MessageKeys {
  // By key, since loading older messages changes indexes.
  const [key, setKey] = useState<string>();
  const at = key === undefined ? -1 : rows.findIndex((row) => row.key === key);

  const move = (from: number, step: 1 | -1): boolean => {
    for (let index = from; index >= 0 && index < rows.length; index += step)
      if (rows[index]!.kind === 'message') {
        setKey(rows[index]!.key);
        return true;
      }
    return false;
  };
  const lastInView = () => list.current!.findItemIndex(scroller.current!.scrollTop + scroller.current!.clientHeight - 1);

  return {
    current: at < 0 ? undefined : at,
    focusLast: () => void move(rows.length - 1, -1),
    onKeyDown(event) {
      if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
      const isWithin = at >= 0 && event.target !== scroller.current;
      const moved =
        event.key === 'ArrowUp' ? move(isWithin ? at - 1 : lastInView(), -1)
        : event.key === 'ArrowDown' ? move(isWithin ? at + 1 : lastInView(), 1)
        : event.key === 'Home' ? move(0, 1)
        : event.key === 'End' ? move(rows.length - 1, -1)
        : undefined;
      if (moved === undefined) return;
      // After the last message comes the composer.
      if (!moved && event.key === 'ArrowDown') document.querySelector<HTMLElement>('.composer textarea')?.focus();
      event.preventDefault();
    },
    onBlur(event) {
      const to = event.relatedTarget;
      if (to instanceof Node && (scroller.current?.contains(to) || document.querySelector('.menu')?.contains(to))) return;
      setKey(undefined);
    },
  };
}
