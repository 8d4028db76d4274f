import { strings } from '../strings.ts';
import { Dialog } from './Dialog.tsx';

const control = /Mac|iPhone|iPad/.test(navigator.userAgent) ? '⌘' : 'Ctrl';

/** The keyboard shortcuts. */
export function Help({ onClose }: { onClose: () => void }) {
  const words = strings.help;
  const keys: [string, string][] = [
    ['Enter', words.send],
    ['Shift Enter', words.line],
    [`${control} K`, words.switch],
    ['Alt ↑ ↓', words.neighbours],
    ['Alt Shift ↓', words.nextUnread],
    ['↑', words.messages],
    ['Shift F10', words.menu],
    ['Esc', words.close],
    [`${control} /`, words.help],
  ];
  return (
    <Dialog title={words.title} onClose={onClose}>
      <dl className="keys">
        {keys.map(([key, what]) => (
          <div key={key}>
            <dt>
              {key.split(' ').map((part) => (
                <kbd key={part}>{part}</kbd>
              ))}
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
