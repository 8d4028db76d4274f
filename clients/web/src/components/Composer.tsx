import { useEffect, useId, useImperativeHandle, useRef, useState, type ChangeEvent, type KeyboardEvent, type Ref } from 'react';
import { rememberEmoji } from '../emoji.ts';
import { announce, useMedia } from '../hooks.ts';
import { useSettings } from '../settings.ts';
import { strings } from '../strings.ts';
import { EmojiPicker } from './EmojiPicker.tsx';
import { Icon } from './Icon.tsx';
import { useEmojiCompletion } from './useEmojiCompletion.tsx';

/** The counter is shown from here on, and announced at each of these steps. */
const shownFrom = 200;
const announcedAt = [200, 100, 50, 20, 0];

/** The keyCode during composition in browsers whose `isComposing` is wrong (WebKit 165004). */
const composingKeyCode = 229;

export interface ComposerHandle {
  focus(): void;
}

interface ComposerProps {
  name: string;
  /** The user, for their recent emoji. */
  userId: string;
  /** The saved draft. */
  draft: string;
  maxLength: number;
  onSend: (content: string) => void;
  /** After every change: to save the draft, and for the typing indicator. */
  onDraft: (draft: string) => void;
  /** Arrow up in an empty box. */
  onUp: () => void;
  ref?: Ref<ComposerHandle>;
}

/** Whether a key types or pastes text. Not the space bar, which scrolls and presses buttons. */
function isWriting(event: globalThis.KeyboardEvent): boolean {
  const commands = event.ctrlKey || event.metaKey;
  if (commands && !event.altKey && event.key.toLowerCase() === 'v') return true;
  if ((commands || event.altKey) && !event.getModifierState('AltGraph')) return false;
  return event.key === 'Dead' || (event.key !== ' ' && [...event.key].length === 1);
}

/** The text to send: without blank lines around it, but with the indentation of its first line. */
const outgoing = (text: string): string => text.replace(/^(?:[^\S\n]*\n)+/, '').trimEnd();

/** The message box. Lengths are counted in code points, as on the server. */
export function Composer({ name, userId, draft, maxLength, onSend, onDraft, onUp, ref }: ComposerProps) {
  const words = strings.composer;
  const [content, setContent] = useState(draft);
  const box = useRef<HTMLTextAreaElement>(null);
  const hasKeyboard = useMedia('(hover: hover)');
  const enterSends = useSettings().enterSends ?? hasKeyboard;
  const cleaned = outgoing(content);
  const left = maxLength - [...cleaned].length;
  const maySend = cleaned.trim() !== '' && left >= 0;
  useImperativeHandle(ref, () => ({ focus: () => box.current?.focus({ preventScroll: true }) }));

  // For browsers without field-sizing.
  useEffect(() => {
    if (!box.current || CSS.supports('field-sizing', 'content')) return;
    box.current.style.height = 'auto';
    box.current.style.height = `${box.current.scrollHeight}px`;
  }, [content]);

  // Not on phones, where the keyboard would cover the conversation.
  useEffect(() => {
    box.current?.setSelectionRange(box.current.value.length, box.current.value.length);
    if (matchMedia('(hover: hover)').matches) box.current?.focus({ preventScroll: true });
  }, []);

  // Typing anywhere in the page goes to the message box, including the key that was pressed.
  useEffect(() => {
    const onKeyDown = (event: globalThis.KeyboardEvent) => {
      if (event.defaultPrevented || !isWriting(event) || document.querySelector('dialog[open], .menu, .emoji-picker')) return;
      if (event.target instanceof Element && event.target.closest('input, textarea, select')) return;
      box.current?.focus({ preventScroll: true });
    };
    document.addEventListener('keydown', onKeyDown);
    return () => document.removeEventListener('keydown', onKeyDown);
  }, []);

  const previousLeft = useRef(left);
  useEffect(() => {
    const passed = announcedAt.some((step) => previousLeft.current > step && left <= step) || (previousLeft.current >= 0 && left < 0);
    previousLeft.current = left;
    if (passed) announce(left < 0 ? words.over(-left) : words.left(left));
  }, [left, words]);

  const change = (value: string) => {
    setContent(value);
    onDraft(value);
  };

  /** Inserts as if typed, so that it can be undone. */
  const replace = (from: number, to: number, text: string) => {
    const field = box.current!;
    const { selectionStart: caret } = field;
    field.focus({ preventScroll: true });
    field.setSelectionRange(from, to);
    if (!document.execCommand('insertText', false, text)) {
      field.setRangeText(text, from, to, 'end');
      change(field.value);
    }
    if (caret > to) field.setSelectionRange(caret - (to - from) + text.length, caret - (to - from) + text.length);
  };

  const completion = useEmojiCompletion(box, replace, (emoji) => rememberEmoji(userId, emoji.text));
  const onChange = (event: ChangeEvent<HTMLTextAreaElement>) => {
    change(event.target.value);
    const { inputType, isComposing } = event.nativeEvent as InputEvent;
    if (!isComposing && (inputType === 'insertText' || inputType === 'insertCompositionText')) completion.onWritten();
    // Undo selects the restored shortcode, which the next key would replace.
    const { selectionEnd } = event.target;
    if (inputType === 'historyUndo') event.target.setSelectionRange(selectionEnd, selectionEnd);
  };

  const [picks, setPicks] = useState(false);
  const pickerId = useId();
  const opener = useRef<HTMLButtonElement>(null);

  const send = () => {
    if (!maySend) return;
    onSend(cleaned);
    change('');
    box.current?.focus();
  };

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing || event.nativeEvent.keyCode === composingKeyCode || completion.onKeyDown(event)) return;
    if (event.key === 'ArrowUp' && content === '' && !event.altKey && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      return onUp();
    }
    if (event.key !== 'Enter' || event.shiftKey || event.altKey) return;
    // Ctrl or ⌘ with Enter always sends.
    if (!enterSends && !event.ctrlKey && !event.metaKey) return;
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
      {completion.list}
      {picks && (
        <EmojiPicker
          id={pickerId}
          userId={userId}
          opener={opener}
          onChoose={({ text }) => {
            setPicks(false);
            rememberEmoji(userId, text);
            replace(box.current!.selectionStart, box.current!.selectionEnd, text);
          }}
          onClose={(returnFocus) => {
            setPicks(false);
            if (returnFocus) opener.current?.focus();
          }}
        />
      )}
      <div className="composer-box">
        <textarea
          {...completion.box}
          ref={box}
          rows={1}
          // While empty, the placeholder has the page's direction.
          dir={content === '' ? undefined : 'auto'}
          value={content}
          placeholder={words.placeholder}
          aria-label={words.label(name)}
          aria-invalid={left < 0}
          enterKeyHint={enterSends ? 'send' : 'enter'}
          onChange={onChange}
          onKeyDown={onKeyDown}
        />
        <button
          ref={opener}
          type="button"
          className="emoji-button"
          aria-haspopup="dialog"
          aria-expanded={picks}
          aria-controls={picks ? pickerId : undefined}
          aria-label={strings.emoji.open}
          title={strings.emoji.open}
          onClick={() => setPicks(!picks)}
        >
          <Icon name="smile" size={22} />
        </button>
        {left < shownFrom && <p className={left < 0 ? 'count over' : 'count'}>{left < 0 ? words.over(-left) : words.left(left)}</p>}
      </div>
      {/* On phones the button must not take the focus, or the keyboard closes. */}
      <button
        type="submit"
        className="send"
        hidden={cleaned.trim() === ''}
        disabled={!maySend}
        aria-label={words.send}
        title={words.send}
        onPointerDown={(event) => event.preventDefault()}
      >
        <Icon name="up" size={22} />
      </button>
    </form>
  );
}
