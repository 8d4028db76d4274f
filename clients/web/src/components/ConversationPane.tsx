import { useChat, useConversation, usePresence } from 'chat-react';
import type { UserStatus } from 'chat-client';
import { useEffect, useRef, useState } from 'react';
import { flushSync } from 'react-dom';
import { ago } from '../format.ts';
import { announce, useAttention, useNow } from '../hooks.ts';
import { nameOf } from '../people.ts';
import { go } from '../router.ts';
import { strings } from '../strings.ts';
import { Avatar } from './Avatar.tsx';
import { Composer } from './Composer.tsx';
import { Icon } from './Icon.tsx';
import { Menu } from './Menu.tsx';
import { MessageList } from './MessageList.tsx';

const words = strings.conversation;
const defaultMaxLength = 4000;
const draftKey = (id: string) => `chat.draft.${id}`;

/** One conversation: who it is with, what was said, and where one writes. */
export function ConversationPane({ id }: { id: string }) {
  const { client, me, connection } = useChat();
  const view = useConversation(id);
  const { conversation, peer, items, isBlocked } = view;
  const attention = useAttention();
  const presence = usePresence(peer?.userId);
  const [failed, setFailed] = useState(false);
  const name = nameOf(peer);

  const own = conversation?.members.find((member) => member.userId === me?.userId);
  const [divider, setDivider] = useState<number | null>(null);
  const opened = useRef(false);

  // Where one stood when one came: on opening, and again after having looked elsewhere.
  const loaded = conversation !== undefined && conversation.messages.length > 0;
  useEffect(() => {
    if (!loaded || (opened.current && attention)) return;
    opened.current = true;
    setDivider(own !== undefined && (conversation.unread > 0 || !attention) ? own.readUpTo : null);
    // What is read from then on moves the cursor, not the divider.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [loaded, attention]);

  // What comes while one looks is said aloud.
  const newest = items[items.length - 1];
  const heard = useRef<string>(undefined);
  useEffect(() => {
    if (!newest) return;
    if (heard.current !== undefined && heard.current !== newest.key && !newest.isOwn) announce(words.announced(name, newest.content));
    heard.current = newest.key;
  }, [newest, name]);

  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      // Menus and dialogs take it first.
      if (event.key !== 'Escape' || event.defaultPrevented || event.isComposing || document.querySelector('dialog[open]')) return;
      // At once, so that the next key finds the focus in the list and not nowhere.
      flushSync(() => go('/'));
      document.querySelector<HTMLElement>(`[data-conversation="${CSS.escape(id)}"]`)?.focus();
    };
    document.addEventListener('keydown', onKeyDown);
    return () => document.removeEventListener('keydown', onKeyDown);
  }, [id]);

  if (!conversation)
    return view.error?.code === 'FORBIDDEN' || view.error?.code === 'NOT_FOUND' ? (
      <div className="empty" role="alert">
        <Icon name="bubble" size={48} />
        <h1>{words.missing}</h1>
        <p>{words.missingHint}</p>
        <button type="button" className="button quiet" onClick={() => go('/')}>
          {words.back}
        </button>
      </div>
    ) : (
      <div className="empty" role="status">
        {strings.loading}
      </div>
    );

  const changeBlock = (act: () => Promise<void>) => {
    setFailed(false);
    act().catch(() => setFailed(true));
  };
  const block = () => changeBlock(() => client.block({ userId: peer!.userId }));
  const unblock = () => changeBlock(() => client.unblock({ userId: peer!.userId }));

  return (
    <section className="messages" aria-label={name}>
      <header className="bar">
        <button type="button" className="icon-button phone-only" aria-label={words.back} title={words.back} onClick={() => go('/')}>
          <Icon name="back" />
        </button>
        <Avatar id={peer?.userId ?? id} name={name} size="small" online={presence?.online === true && connection.status === 'online'} />
        <div className="bar-title">
          <h1>
            <bdi>{name}</bdi>
          </h1>
          <p>{failed ? <span className="fault">{strings.start.failed}</span> : <Status presence={presence} typing={view.typists.length > 0} known={connection.status === 'online'} />}</p>
        </div>
        {peer && (
          <Menu
            label={strings.menu.conversation}
            button={<Icon name="more" />}
            groups={[
              {
                items: [
                  isBlocked
                    ? { label: `${strings.menu.unblock} ${name}`, icon: 'block', onSelect: unblock }
                    : { label: `${strings.menu.block} ${name}`, icon: 'block', danger: true, onSelect: block },
                ],
              },
            ]}
          />
        )}
      </header>
      <MessageList view={view} conversation={conversation} name={name} readUpTo={own?.readUpTo ?? 0} divider={divider} attention={attention} />
      {isBlocked ? (
        <div className="notice" role="status">
          {words.blocked(name)}
          <button type="button" className="link" onClick={unblock}>
            {words.unblock}
          </button>
        </div>
      ) : (
        <Composer
          name={name}
          draft={sessionStorage.getItem(draftKey(id)) ?? ''}
          maxLength={me?.limits?.maxContentLength ?? defaultMaxLength}
          onSend={(content) => {
            setDivider(null);
            view.send(content);
          }}
          onDraft={(draft) => {
            if (draft.trim() === '') {
              sessionStorage.removeItem(draftKey(id));
              view.stopTyping();
            } else {
              sessionStorage.setItem(draftKey(id), draft);
              view.typing();
            }
          }}
        />
      )}
    </section>
  );
}

function Status({ presence, typing, known }: { presence: UserStatus | undefined; typing: boolean; known: boolean }) {
  const now = useNow();
  // Without a connection nobody knows who is there.
  if (!known) return '\u00a0';
  if (typing) return words.typing;
  if (presence?.online) return words.online;
  return presence?.lastSeenAt ? words.lastSeen(ago(new Date(presence.lastSeenAt), now)) : words.offline;
}
