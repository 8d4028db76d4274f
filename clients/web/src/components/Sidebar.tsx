import { markOf, peerOf, typistsOf, type ConversationState, type Mark as MarkName } from 'chat-client';
import { useChat, useChatState, useConversations, usePresence } from 'chat-react';
import { memo, useRef, type KeyboardEvent } from 'react';
import { shortTime } from '../format.ts';
import { useNow } from '../hooks.ts';
import { nameOf } from '../people.ts';
import { addressOf, follow, go } from '../router.ts';
import { ownName, setSession } from '../session.ts';
import { strings } from '../strings.ts';
import { setTheme, useTheme, type Theme } from '../theme.ts';
import { Avatar } from './Avatar.tsx';
import { Icon } from './Icon.tsx';
import { Mark } from './Mark.tsx';
import { Menu } from './Menu.tsx';

/** The conversations, and one's own menu. */
export function Sidebar({ chosen, onStart }: { chosen: string | null; onStart: () => void }) {
  const { me } = useChat();
  const name = ownName();
  return (
    <nav className="sidebar" aria-label={strings.list.title}>
      <header className="bar">
        <Avatar id={me?.userId ?? ''} name={name} size="small" />
        <div className="bar-title">
          <h1>{strings.product}</h1>
          <p>
            <bdi>{name}</bdi>
          </p>
        </div>
        <button type="button" className="icon-button" aria-label={strings.start.open} title={`${strings.start.open} (Ctrl K)`} onClick={onStart}>
          <Icon name="pen" />
        </button>
        <OwnMenu />
      </header>
      <ConversationList chosen={chosen} onStart={onStart} />
    </nav>
  );
}

function OwnMenu() {
  const theme = useTheme();
  const words = strings.menu;
  const choice = (value: Theme, label: string, icon: 'screen' | 'sun' | 'moon') => ({ label, icon, checked: theme === value, onSelect: () => setTheme(value) });
  return (
    <Menu
      label={words.you}
      button={<Icon name="more" />}
      groups={[
        { label: words.appearance, items: [choice('system', words.system, 'screen'), choice('light', words.light, 'sun'), choice('dark', words.dark, 'moon')] },
        {
          items: [
            {
              label: words.signOut,
              icon: 'leave',
              onSelect: () => {
                setSession(null);
                go('/');
              },
            },
          ],
        },
      ]}
    />
  );
}

function ConversationList({ chosen, onStart }: { chosen: string | null; onStart: () => void }) {
  const { conversations, isLoading } = useConversations();
  const list = useRef<HTMLUListElement>(null);
  const now = useNow();

  // One stop for the Tab key: the chosen conversation, or the first; the arrows do the rest.
  const stop = conversations.some((conversation) => conversation.id === chosen) ? chosen : conversations[0]?.id;

  const onKeyDown = (event: KeyboardEvent) => {
    const links = [...(list.current?.querySelectorAll('a') ?? [])];
    const at = links.indexOf(document.activeElement as HTMLAnchorElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1 }[event.key];
    if (to === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    links[Math.max(0, Math.min(to, links.length - 1))]?.focus();
  };

  if (conversations.length === 0)
    return isLoading ? (
      <div className="conversations" role="status" aria-label={strings.loading}>
        {[0, 1, 2, 3].map((index) => (
          <div className="skeleton" key={index}>
            <span />
          </div>
        ))}
      </div>
    ) : (
      <div className="empty">
        <Icon name="bubble" size={40} />
        <h2>{strings.list.empty}</h2>
        <p>{strings.list.emptyHint}</p>
        <button type="button" className="button primary" onClick={onStart}>
          <Icon name="pen" size={18} />
          {strings.start.open}
        </button>
      </div>
    );
  return (
    <ul className="conversations" ref={list} onKeyDown={onKeyDown} aria-label={strings.list.title}>
      {conversations.map((conversation) => (
        <li key={conversation.id}>
          <ConversationLink conversation={conversation} chosen={conversation.id === chosen} stop={conversation.id === stop} now={now} />
        </li>
      ))}
    </ul>
  );
}

interface ConversationLinkProps {
  conversation: ConversationState;
  chosen: boolean;
  stop: boolean;
  now: Date;
}

const ConversationLink = memo(function ConversationLink({ conversation, chosen, stop, now }: ConversationLinkProps) {
  const me = useChatState((state) => state.me?.userId);
  const types = useChatState((state) => typistsOf(state, conversation.id).length > 0);
  const waiting = useChatState((state) => state.outbox.findLast((entry) => entry.conversationId === conversation.id));
  const peer = peerOf(conversation, me);
  const connected = useChatState((state) => state.connection.status === 'online');
  // Without a connection nobody knows who is there.
  const online = usePresence(peer?.userId)?.online === true && connected;
  const name = nameOf(peer);
  const last = conversation.lastMessage;
  const own = waiting !== undefined || (last !== undefined && last.senderId === me);
  const mark: MarkName | undefined = waiting ? waiting.status : own && me ? markOf(last!, conversation, me) : undefined;
  const text = waiting?.content ?? last?.content;
  const at = waiting?.createdAt ?? last?.sentAt;
  return (
    <a
      className={conversation.unread > 0 ? 'conversation unread' : 'conversation'}
      href={addressOf(conversation.id)}
      aria-current={chosen ? 'page' : undefined}
      tabIndex={stop ? 0 : -1}
      data-conversation={conversation.id}
      onClick={follow}
    >
      <Avatar id={peer?.userId ?? conversation.id} name={name} online={online} />
      <div>
        <div className="line">
          <bdi className="name">{name}</bdi>
          {online && <span className="hidden">, {strings.list.online}, </span>}
          {at !== undefined && <time dateTime={at}>{shortTime(new Date(at), now)}</time>}
        </div>
        <div className="line">
          {types ? (
            <span className="preview typing">{strings.list.typing}</span>
          ) : (
            <span className="preview">
              {mark && <Mark name={mark} />}
              {own && <span className="hidden">{strings.list.you}</span>}
              <bdi>{text === undefined ? strings.list.nothingYet : text.slice(0, 200)}</bdi>
            </span>
          )}
          {conversation.unread > 0 && (
            <span className="badge">
              {conversation.unread > 999 ? '999+' : conversation.unread}
              <span className="hidden"> {strings.list.unread(conversation.unread)}</span>
            </span>
          )}
        </div>
      </div>
    </a>
  );
});
