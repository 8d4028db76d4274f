import type { UserStatus } from 'chat-client';
import { useChat, useChatState, useConversation, useDraft, usePresence, useUnreadDivider } from 'chat-react';
import { useEffect, useRef, useState } from 'react';
import { flushSync } from 'react-dom';
import { ago } from '../format.ts';
import { announce, useUncoveredWindow, useNow } from '../hooks.ts';
import { failureOf, isolated, nameOf } from '../people.ts';
import { go, leave } from '../router.ts';
import { strings } from '../strings.ts';
import { Avatar } from './Avatar.tsx';
import { Composer } from './Composer.tsx';
import { Confirm } from './Dialog.tsx';
import { Empty } from './Empty.tsx';
import { Icon } from './Icon.tsx';
import { Menu } from './Menu.tsx';
import { MessageList, type MessageListHandle } from './MessageList.tsx';
import { MessagesSkeleton } from './Skeletons.tsx';

const defaultMaxLength = 4000;
const errorDuration = 6000;

/** A conversation: header, messages and composer. */
export function ConversationPane({ id }: { id: string }) {
  const words = strings.conversation;
  const { client, me, connection } = useChat();
  const view = useConversation(id);
  const { conversation, peer, items, isBlocked, stopTyping } = view;
  const isActive = useUncoveredWindow();
  const isWatching = useChatState((state) => state.isCaughtUp) && isActive;
  const divider = useUnreadDivider(view, isActive);
  const [draft, setDraft] = useDraft(id);
  const presence = usePresence(peer?.userId);
  const [error, setError] = useState<string>();
  const [asksToBlock, setAsksToBlock] = useState(false);
  const list = useRef<MessageListHandle>(null);
  const displayName = nameOf(peer);
  // For use in sentences.
  const name = isolated(displayName);

  // Announce messages that arrive while the conversation is open.
  const newest = items[items.length - 1];
  const lastAnnounced = useRef<string>(undefined);
  const isLoaded = divider.isLoaded;
  useEffect(() => {
    if (!isLoaded) return;
    const last = lastAnnounced.current;
    if (newest && last !== undefined && last !== newest.key && !newest.isOwn) announce(words.announced(name, newest.content));
    lastAnnounced.current = newest?.key ?? '';
  }, [isLoaded, newest, name, words]);

  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      // Menus and dialogs handle it first.
      if (event.key !== 'Escape' || event.defaultPrevented || event.isComposing || document.querySelector('dialog[open]')) return;
      // Synchronously, so that the next key finds the focus in the list.
      flushSync(leave);
      document.querySelector<HTMLElement>(`[data-conversation="${CSS.escape(id)}"]`)?.focus();
    };
    document.addEventListener('keydown', onKeyDown);
    return () => document.removeEventListener('keydown', onKeyDown);
  }, [id]);

  // Leaving the conversation ends the typing indicator, even with a draft.
  useEffect(() => stopTyping, [stopTyping]);

  useEffect(() => {
    if (error === undefined) return;
    const timer = setTimeout(() => setError(undefined), errorDuration);
    return () => clearTimeout(timer);
  }, [error]);

  if (!conversation)
    return view.error?.code === 'FORBIDDEN' || view.error?.code === 'NOT_FOUND' ? (
      <Empty icon="bubble" title={words.missing} hint={words.missingHint} isAlert>
        <button type="button" className="button quiet" onClick={() => go('/')}>
          {words.back}
        </button>
      </Empty>
    ) : (
      <MessagesSkeleton />
    );

  const changeBlock = (act: () => Promise<void>, failure: string) => {
    setError(undefined);
    act().catch((why: unknown) => setError(failureOf(failure, why)));
  };
  const block = () => changeBlock(() => client.block({ userId: peer!.userId }), words.blockFailed);
  const unblock = () => changeBlock(() => client.unblock({ userId: peer!.userId }), words.unblockFailed);
  const own = conversation.members.find((member) => member.userId === me?.userId);

  return (
    <section className="messages" aria-label={name}>
      <header className="bar">
        <button type="button" className="icon-button phone-only" aria-label={words.back} title={words.back} onClick={leave}>
          <Icon name="back" />
        </button>
        <Avatar
          id={peer?.userId ?? id}
          name={displayName}
          size="small"
          online={presence?.online === true && connection.status === 'online'}
        />
        <div className="bar-title">
          <h1>
            <bdi>{displayName}</bdi>
          </h1>
          <p>
            <Status presence={presence} typing={view.typists.length > 0} known={connection.status === 'online'} />
          </p>
        </div>
        {peer && (
          <Menu
            label={strings.menu.conversation}
            button={<Icon name="more" />}
            groups={[
              {
                items: [
                  isBlocked
                    ? { label: strings.menu.unblock(name), icon: 'block', onSelect: unblock }
                    : { label: strings.menu.block(name), icon: 'block', danger: true, onSelect: () => setAsksToBlock(true) },
                ],
              },
            ]}
          />
        )}
      </header>
      {error !== undefined && (
        <p className="toast" role="alert">
          {error}
        </p>
      )}
      {divider.isLoaded ? (
        <MessageList
          ref={list}
          view={view}
          conversation={conversation}
          name={name}
          readUpTo={own?.readUpTo ?? 0}
          divider={divider}
          isActive={isActive}
          isWatching={isWatching}
        />
      ) : (
        <MessagesSkeleton />
      )}
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
          userId={me?.userId ?? ''}
          draft={draft}
          maxLength={me?.limits?.maxContentLength ?? defaultMaxLength}
          onUp={() => list.current?.focusLast()}
          onSend={(content) => {
            divider.clear();
            view.send(content);
          }}
          onDraft={(draft) => {
            setDraft(draft);
            if (draft.trim() === '') view.stopTyping();
            else view.typing();
          }}
        />
      )}
      {asksToBlock && (
        <Confirm
          title={strings.block.title(name)}
          confirm={strings.block.confirm}
          cancel={strings.start.cancel}
          danger
          onConfirm={block}
          onClose={() => setAsksToBlock(false)}
        >
          {strings.block.hint}
        </Confirm>
      )}
    </section>
  );
}

function Status({ presence, typing, known }: { presence: UserStatus | undefined; typing: boolean; known: boolean }) {
  const words = strings.conversation;
  const now = useNow();
  // Presence is unknown without a connection.
  if (!known) return '\u00a0';
  if (typing) return words.typing;
  if (presence?.online) return words.online;
  return presence?.lastSeenAt ? words.lastSeen(ago(new Date(presence.lastSeenAt), now)) : words.offline;
}
