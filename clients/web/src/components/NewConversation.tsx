import { ChatError } from 'chat-client';
import { useChatClient } from 'chat-react';
import { useEffect, useRef, useState, type FormEvent } from 'react';
import { addressOf, go } from '../router.ts';
import { ownName } from '../session.ts';
import { strings } from '../strings.ts';

const words = strings.start;

/** Asks for a username, and opens the conversation with its owner. */
export function NewConversation({ onClose }: { onClose: () => void }) {
  const client = useChatClient();
  const dialog = useRef<HTMLDialogElement>(null);
  const [username, setUsername] = useState('');
  const [busy, setBusy] = useState(false);
  const [fault, setFault] = useState<string>();

  useEffect(() => dialog.current?.showModal(), []);

  async function submit(event: FormEvent) {
    event.preventDefault();
    const name = username.trim();
    if (name === '' || busy) return;
    if (name.toLowerCase() === ownName().toLowerCase()) return setFault(words.yourself);
    setBusy(true);
    try {
      const id = await client.open({ username: name });
      dialog.current?.close();
      go(addressOf(id));
    } catch (failure) {
      setBusy(false);
      const code = failure instanceof ChatError ? failure.code : undefined;
      setFault(code === 'NOT_FOUND' ? words.notFound(name) : code === 'BLOCKED' ? words.blocked : words.failed);
    }
  }

  return (
    <dialog
      ref={dialog}
      className="dialog"
      aria-labelledby="start-title"
      onClose={onClose}
      onPointerDown={(event) => {
        if (event.target === dialog.current) dialog.current.close();
      }}
    >
      <form onSubmit={(event) => void submit(event)} noValidate>
        <h2 id="start-title">{words.title}</h2>
        <div className="field">
          <label htmlFor="start-username">{words.username}</label>
          <input
            id="start-username"
            autoFocus
            autoComplete="off"
            autoCapitalize="none"
            spellCheck={false}
            maxLength={256}
            value={username}
            aria-invalid={fault !== undefined}
            aria-describedby={fault ? 'start-fault' : undefined}
            onChange={(event) => {
              setUsername(event.target.value);
              setFault(undefined);
            }}
          />
          <p className="fault" id="start-fault" role="alert">
            {fault}
          </p>
        </div>
        <div className="dialog-buttons">
          <button type="button" className="button quiet" onClick={() => dialog.current?.close()}>
            {words.cancel}
          </button>
          <button type="submit" className="button primary" disabled={busy || username.trim() === ''}>
            {words.submit}
          </button>
        </div>
      </form>
    </dialog>
  );
}
