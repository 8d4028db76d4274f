import { ChatError } from 'chat-client';
import { useChatClient, usePeople } from 'chat-react';
import { useId, useRef, useState, type KeyboardEvent } from 'react';
import { isolated, nameOf } from '../people.ts';
import { go, pathOf } from '../router.ts';
import { ownName } from '../session/session.ts';
import { strings } from '../strings.ts';
import { Avatar } from './Avatar.tsx';
import { Dialog } from './Dialog.tsx';
import { Icon } from './Icon.tsx';

const most = 8;
const longestName = 256;

/** Opens a conversation by part of a name, or starts one by username. */
export function Switcher({ onClose }: { onClose: () => void }) {
  const words = strings.start;
  const client = useChatClient();
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  const [query, setQuery] = useState('');
  const [chosen, setChosen] = useState(0);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string>();

  const name = query.trim();
  const { people, isKnown } = usePeople(name);
  const found = people.slice(0, most);
  const mayStart = name !== '' && !isKnown;
  const length = found.length + (mayStart ? 1 : 0);

  const show = (conversationId: string) => {
    dialog.current?.close();
    go(pathOf(conversationId));
  };

  async function start() {
    if (name.toLowerCase() === ownName().toLowerCase()) return setError(words.yourself);
    setBusy(true);
    try {
      show(await client.open({ username: name }));
    } catch (failure) {
      setBusy(false);
      const code = failure instanceof ChatError ? failure.code : undefined;
      if (code === 'NOT_FOUND') setError(words.notFound(isolated(name)));
      else if (code === 'BLOCKED') setError(words.blocked);
      else setError(code ? strings.errors[code] : words.failed);
    }
  }

  const take = (index: number) => {
    const person = found[index];
    if (person) show(person.conversation.id);
    else if (mayStart && !busy) void start();
  };

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing || length === 0) return;
    if (event.key === 'ArrowDown') setChosen((chosen + 1) % length);
    else if (event.key === 'ArrowUp') setChosen((chosen - 1 + length) % length);
    else if (event.key === 'Enter') take(Math.min(chosen, length - 1));
    else return;
    event.preventDefault();
  };

  const optionOf = (index: number) => ({
    id: `${id}-${index}`,
    role: 'option',
    'aria-selected': index === chosen,
    onPointerMove: () => setChosen(index),
    onClick: () => take(index),
  });
  return (
    <Dialog title={words.title} ref={dialog} className="switcher" onClose={onClose}>
      <div className="field">
        <label htmlFor={`${id}-name`}>{words.name}</label>
        <input
          id={`${id}-name`}
          role="combobox"
          aria-expanded={length > 0}
          aria-controls={`${id}-list`}
          aria-autocomplete="list"
          aria-activedescendant={length > 0 ? `${id}-${chosen}` : undefined}
          aria-invalid={error !== undefined}
          aria-describedby={`${id}-error`}
          autoFocus
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          maxLength={longestName}
          value={query}
          onChange={(event) => {
            setQuery(event.target.value);
            setChosen(0);
            setError(undefined);
          }}
          onKeyDown={onKeyDown}
        />
        <p className={error === undefined ? 'hint' : 'error'} id={`${id}-error`} role={error === undefined ? undefined : 'alert'}>
          {error ?? words.hint}
        </p>
      </div>
      <div
        className="options"
        id={`${id}-list`}
        role={length > 0 ? 'listbox' : undefined}
        aria-label={length > 0 ? words.title : undefined}
      >
        {found.map((person, index) => (
          <div key={person.conversation.id} {...optionOf(index)}>
            <Avatar id={person.peer.userId} name={nameOf(person.peer)} size="small" />
            <bdi>{nameOf(person.peer)}</bdi>
          </div>
        ))}
        {mayStart && (
          <div {...optionOf(found.length)}>
            <span className="option-icon">
              <Icon name="pen" />
            </span>
            <span>{words.startWith(isolated(name))}</span>
          </div>
        )}
      </div>
    </Dialog>
  );
}
