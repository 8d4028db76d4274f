import type { ConversationState } from 'chat-client';
import { useConversationPreview, useConversations } from 'chat-react';
import { memo, useRef, useState, type KeyboardEvent, type RefObject } from 'react';
import { shortened, shortTime } from '../format.ts';
import { useMedia, useNow } from '../hooks.ts';
import { nameOf } from '../people.ts';
import { number } from '../plurals.ts';
import { addressOf, follow, go, narrow, pathOf } from '../router.ts';
import { strings } from '../strings.ts';
import { Avatar } from './Avatar.tsx';
import { Empty } from './Empty.tsx';
import { Icon } from './Icon.tsx';
import { DeliveryStatusIcon } from './DeliveryStatusIcon.tsx';
import { OwnMenu } from './OwnMenu.tsx';
import { ListSkeleton } from './Skeletons.tsx';

interface SidebarProps {
  chosen: string | null;
  onStart: () => void;
  onSettings: () => void;
  onHelp: () => void;
}

/** The list of conversations, with search, a button for a new one, and the account menu. */
export function Sidebar({ chosen, onStart, onSettings, onHelp }: SidebarProps) {
  const words = strings.list;
  const [filter, setFilter] = useState('');
  const list = useRef<HTMLUListElement>(null);
  const hasSome = useConversations().conversations.length > 0;

  const onFilterKeys = (event: KeyboardEvent) => {
    const first = list.current?.querySelector('a');
    if (event.key === 'Escape' && filter !== '') setFilter('');
    else if (event.key === 'ArrowDown' && first) first.focus();
    else if (event.key === 'Enter' && filter.trim() !== '' && first) {
      go(pathOf(first.dataset.conversation!));
      setFilter('');
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };

  return (
    <nav className="sidebar" aria-label={words.title}>
      <header className="bar">
        <OwnMenu onSettings={onSettings} onHelp={onHelp} />
        <div className="bar-title">
          <h1>{words.heading}</h1>
        </div>
        <button
          type="button"
          className={hasSome ? 'icon-button filled' : 'icon-button'}
          aria-label={strings.start.open}
          title={`${strings.start.open} (Ctrl K)`}
          onClick={onStart}
        >
          <Icon name="pen" />
        </button>
      </header>
      {hasSome && (
        <div className="search">
          <Icon name="search" size={18} />
          <input
            type="search"
            value={filter}
            aria-label={words.search}
            placeholder={words.search}
            autoComplete="off"
            spellCheck={false}
            onChange={(event) => setFilter(event.target.value)}
            onKeyDown={onFilterKeys}
          />
        </div>
      )}
      <ConversationList chosen={chosen} filter={filter} list={list} onStart={onStart} />
    </nav>
  );
}

interface ConversationListProps {
  chosen: string | null;
  filter: string;
  list: RefObject<HTMLUListElement | null>;
  onStart: () => void;
}

function ConversationList({ chosen, filter, list, onStart }: ConversationListProps) {
  const words = strings.list;
  const { conversations: all, isLoading } = useConversations();
  const { conversations } = useConversations(filter);
  const isNarrow = useMedia(narrow);
  const now = useNow();

  // A roving tabindex: the open conversation or the first one; the arrow keys move on.
  const stop = conversations.some((conversation) => conversation.id === chosen) ? chosen : conversations[0]?.id;

  const onKeyDown = (event: KeyboardEvent) => {
    const links = [...(list.current?.querySelectorAll('a') ?? [])];
    const at = links.indexOf(document.activeElement as HTMLAnchorElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1 }[event.key];
    if (to === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    links[Math.max(0, Math.min(to, links.length - 1))]?.focus();
  };

  if (all.length === 0) {
    if (isLoading) return <ListSkeleton />;
    // In a wide window the pane beside it shows this.
    return isNarrow ? <NoConversations onStart={onStart} /> : <div className="conversations" />;
  }
  if (conversations.length === 0)
    return (
      <p className="no-match" role="status">
        {words.noMatch}
      </p>
    );
  return (
    <ul className="conversations" ref={list} onKeyDown={onKeyDown} aria-label={words.title}>
      {conversations.map((conversation) => (
        <li key={conversation.id}>
          <ConversationLink conversation={conversation} chosen={conversation.id === chosen} stop={conversation.id === stop} now={now} />
        </li>
      ))}
    </ul>
  );
}

/** What a new user sees first. */
export function NoConversations({ onStart }: { onStart: () => void }) {
  return (
    <Empty icon="bubble" title={strings.list.empty} hint={strings.list.emptyHint}>
      <button type="button" className="button primary" onClick={onStart}>
        <Icon name="pen" size={18} />
        {strings.start.open}
      </button>
    </Empty>
  );
}

interface ConversationLinkProps {
  conversation: ConversationState;
  chosen: boolean;
  stop: boolean;
  now: Date;
}

const longestPreview = 200;
const most = 999;

const ConversationLink = memo(function ConversationLink({ conversation, chosen, stop, now }: ConversationLinkProps) {
  const words = strings.list;
  const { peer, isOnline, typists, draft, text, isOwn, status, at } = useConversationPreview(conversation);
  const name = nameOf(peer);
  return (
    <a
      className={conversation.unread > 0 ? 'conversation unread' : 'conversation'}
      href={addressOf(pathOf(conversation.id))}
      aria-current={chosen ? 'page' : undefined}
      tabIndex={stop ? 0 : -1}
      data-conversation={conversation.id}
      onClick={follow}
    >
      <Avatar id={peer?.userId ?? conversation.id} name={name} online={isOnline} />
      <div>
        <div className="line">
          <bdi className="name">{name}</bdi>
          {isOnline && <span className="hidden">, {words.online}, </span>}
          {at !== undefined && <time dateTime={at}>{shortTime(new Date(at), now)}</time>}
        </div>
        <div className="line">
          {typists.length > 0 ? (
            <span className="preview typing">{words.typing}</span>
          ) : draft !== '' && !chosen ? (
            <span className="preview">
              <span className="draft">{words.draft}</span> <bdi>{shortened(draft, longestPreview)}</bdi>
            </span>
          ) : (
            <span className="preview">
              {status && <DeliveryStatusIcon status={status} />}
              {isOwn && <span className="hidden"> {words.you} </span>}
              <bdi>{text === undefined ? words.nothingYet : shortened(text, longestPreview)}</bdi>
            </span>
          )}
          {conversation.unread > 0 && (
            <>
              <span className="badge" aria-hidden="true">
                {conversation.unread > most ? `${number(most)}+` : number(conversation.unread)}
              </span>
              <span className="hidden">, {words.unread(conversation.unread)}</span>
            </>
          )}
        </div>
      </div>
    </a>
  );
});
