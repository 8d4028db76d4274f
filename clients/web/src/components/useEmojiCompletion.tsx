import { useId, useMemo, useRef, useState, type KeyboardEvent, type ReactNode, type RefObject } from 'react';
import { closedCode, findEmoji, loadEmoji, openedCode, useEmoji, type Emoji } from '../emoji.ts';
import { useMedia } from '../hooks.ts';

/** Fewer in a low window, such as a phone in landscape, so that the composer stays visible. */
const maxOffers = { low: 3, any: 6 };

interface Completion {
  /** Props for the textarea. */
  readonly box: {
    readonly 'aria-autocomplete': 'list';
    readonly 'aria-controls'?: string;
    readonly 'aria-activedescendant'?: string;
    readonly onSelect: () => void;
    readonly onBlur: () => void;
    readonly onCompositionEnd: () => void;
  };
  readonly list: ReactNode;
  /** Returns true if the list has handled the key. */
  onKeyDown(event: KeyboardEvent): boolean;
  /** Text was typed, not pasted, deleted or undone. */
  onWritten(): void;
}

/** Suggests emoji for `:smi`, and replaces `:smile:`. */
export function useEmojiCompletion(
  box: RefObject<HTMLTextAreaElement | null>,
  replace: (from: number, to: number, text: string) => void,
  onTaken: (emoji: Emoji) => void,
): Completion {
  const id = useId();
  const [typed, setTyped] = useState<{ readonly at: number; readonly name: string }>();
  const [chosen, setChosen] = useState(0);
  /** Index at which the suggestions were dismissed. */
  const dismissed = useRef<number>(undefined);
  const most = useMedia('(max-height: 30rem)') ? maxOffers.low : maxOffers.any;
  const { set } = useEmoji(typed !== undefined);
  const found = useMemo(() => (typed && set ? findEmoji(set, typed.name, most) : []), [typed, set, most]);
  const isOpen = found.length > 0;

  const beforeCaret = (): string => {
    const { value, selectionStart, selectionEnd } = box.current!;
    return selectionStart === selectionEnd ? value.slice(0, selectionStart) : '';
  };

  const look = () => {
    const next = openedCode(beforeCaret());
    if (next?.at !== dismissed.current) dismissed.current = undefined;
    if (next?.name === typed?.name && next?.at === typed?.at) return;
    setTyped(dismissed.current === undefined ? next : undefined);
    setChosen(0);
  };

  const take = (emoji: Emoji) => {
    replace(typed!.at, typed!.at + 1 + typed!.name.length, emoji.text);
    setTyped(undefined);
    onTaken(emoji);
  };

  const close = () => {
    const text = beforeCaret();
    const code = closedCode(text);
    if (!code) return;
    const written = text.slice(code.at);
    loadEmoji().then(
      ({ byCode }) => {
        const emoji = byCode.get(code.name);
        // The data may have loaded late, while the user went on typing.
        if (emoji && box.current?.value.startsWith(written, code.at)) replace(code.at, code.at + written.length, emoji.text);
      },
      (failure: unknown) => console.warn('The emoji could not be loaded: the shortcode stays as typed.', failure),
    );
  };

  return {
    box: {
      'aria-autocomplete': 'list',
      ...(isOpen && { 'aria-controls': id, 'aria-activedescendant': `${id}-${chosen}` }),
      onSelect: look,
      onBlur: () => setTyped(undefined),
      onCompositionEnd: close,
    },
    list: isOpen && (
      <ul id={id} className="emoji-offers" role="listbox" aria-label=":" lang={set?.language}>
        {found.map((emoji, index) => (
          <li
            key={emoji.text}
            id={`${id}-${index}`}
            role="option"
            aria-selected={index === chosen}
            onPointerMove={() => setChosen(index)}
            // Keep the focus in the textarea.
            onPointerDown={(event) => event.preventDefault()}
            onClick={() => take(emoji)}
          >
            <span aria-hidden="true">{emoji.text}</span>
            <span>{emoji.name}</span>
            <small aria-hidden="true" dir="ltr">
              :{emoji.codes.find((code) => code.includes(typed!.name)) ?? emoji.codes[0]}:
            </small>
          </li>
        ))}
      </ul>
    ),
    onKeyDown(event) {
      if (!isOpen || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return false;
      if (event.key === 'ArrowDown') setChosen((chosen + 1) % found.length);
      else if (event.key === 'ArrowUp') setChosen((chosen - 1 + found.length) % found.length);
      else if (event.key === 'Enter' || event.key === 'Tab') take(found[chosen]!);
      else if (event.key === 'Escape') {
        dismissed.current = typed!.at;
        setTyped(undefined);
      } else return false;
      event.preventDefault();
      return true;
    },
    onWritten: close,
  };
}
