import { useEffect, useRef, useState, type KeyboardEvent } from 'react';
import { strings } from '../strings.ts';
import { Icon } from './Icon.tsx';

const shownFrom = 200;

interface ComposerProps {
  name: string;
  /** What was written before, and not sent. */
  draft: string;
  maxLength: number;
  onSend: (content: string) => void;
  /** After every change: to keep the draft, and to say that somebody types. */
  onDraft: (draft: string) => void;
}

/** Where one writes. Enter sends, Shift and Enter make a new line. Lengths count as the server counts: code points. */
export function Composer({ name, draft, maxLength, onSend, onDraft }: ComposerProps) {
  const [content, setContent] = useState(draft);
  const box = useRef<HTMLTextAreaElement>(null);
  const left = maxLength - [...content.trim()].length;
  const maySend = content.trim() !== '' && left >= 0;

  // Where the style sheet's field-sizing is not known, the box grows by this.
  useEffect(() => {
    if (!box.current || CSS.supports('field-sizing', 'content')) return;
    box.current.style.height = 'auto';
    box.current.style.height = `${box.current.scrollHeight}px`;
  }, [content]);

  // With a mouse one wants to write at once; on a phone the keyboard would hide what was opened.
  useEffect(() => {
    if (matchMedia('(hover: hover)').matches) box.current?.focus({ preventScroll: true });
  }, []);

  const change = (value: string) => {
    setContent(value);
    onDraft(value);
  };

  const send = () => {
    if (!maySend) return;
    onSend(content.trim());
    change('');
    box.current?.focus();
  };

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== 'Enter' || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    send();
  };

  return (
    <form
      className="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <div className="composer-box">
        <textarea
          ref={box}
          rows={1}
          dir="auto"
          value={content}
          placeholder={strings.composer.placeholder}
          aria-label={strings.composer.label(name)}
          aria-invalid={left < 0}
          enterKeyHint="send"
          onChange={(event) => change(event.target.value)}
          onKeyDown={onKeyDown}
        />
        {left < shownFrom && (
          <p className={left < 0 ? 'count over' : 'count'} role="status">
            {left < 0 ? strings.composer.over(-left) : strings.composer.left(left)}
          </p>
        )}
      </div>
      <button type="submit" className="send" aria-label={strings.composer.send} title={strings.composer.send} disabled={!maySend}>
        <Icon name="up" size={22} />
      </button>
    </form>
  );
}
