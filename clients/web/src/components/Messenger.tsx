import { useChat, useChatState, useConversations, useSignInNeed, useUnsent, useUnsentWarning } from 'chat-react';
import { useEffect, useRef, useState } from 'react';
import { useAlerts, useUnreadMarks } from '../alerts.ts';
import { announce, useAnnouncements, useDelayedTrue, useMedia } from '../hooks.ts';
import { go, narrow, pathOf, routeOf, usePath } from '../router.ts';
import { endSession } from '../session/session.ts';
import { strings } from '../strings.ts';
import { ConversationPane } from './ConversationPane.tsx';
import { Empty } from './Empty.tsx';
import { Help } from './Help.tsx';
import { Icon } from './Icon.tsx';
import { Switcher } from './Switcher.tsx';
import { Settings } from './Settings.tsx';
import { NoConversations, Sidebar } from './Sidebar.tsx';

type OpenDialog = 'start' | 'settings' | 'help';

/** The whole page after the sign-in. */
export function Messenger() {
  const route = routeOf(usePath());
  const conversationId = route.kind === 'conversation' ? route.id : null;
  const [dialog, setDialog] = useState<OpenDialog>();

  const need = useSignInNeed();
  useEffect(() => {
    if (need) endSession(strings.signIn[need]);
  }, [need]);

  useAlerts(conversationId);
  useUnreadMarks(conversationId);

  useUnsentWarning();

  const { conversations } = useConversations();
  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      const step = { ArrowUp: -1, ArrowDown: 1 }[event.key];
      if (!event.altKey || event.ctrlKey || event.metaKey || step === undefined || document.querySelector('dialog[open]')) return;
      event.preventDefault();
      // With Shift only unread ones; wraps around.
      const at = conversations.findIndex(({ id }) => id === conversationId);
      for (let moved = 1; moved <= conversations.length; moved++) {
        const next = conversations.at((Math.max(at, step < 0 ? 0 : -1) + step * moved) % conversations.length)!;
        if (event.shiftKey && next.unread === 0) continue;
        return go(pathOf(next.id));
      }
    };
    window.addEventListener('keydown', onKeyDown);
    return () => window.removeEventListener('keydown', onKeyDown);
  }, [conversations, conversationId]);

  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (!(event.ctrlKey || event.metaKey) || event.altKey || document.querySelector('dialog[open]')) return;
      const opens = ({ k: 'start', '/': 'help' } as const)[event.key.toLowerCase()];
      if (!opens) return;
      event.preventDefault();
      setDialog(opens);
    };
    window.addEventListener('keydown', onKeyDown);
    return () => window.removeEventListener('keydown', onKeyDown);
  }, []);

  // The focused field of the sign-in page is gone.
  const app = useRef<HTMLElement>(null);
  useEffect(() => {
    if (document.activeElement === document.body) app.current?.focus({ preventScroll: true });
  }, []);

  const close = () => setDialog(undefined);
  return (
    <main ref={app} className="app" tabIndex={-1} data-view={route.kind === 'list' ? 'list' : 'conversation'}>
      <ConnectionBanner />
      <Sidebar
        chosen={conversationId}
        onStart={() => setDialog('start')}
        onSettings={() => setDialog('settings')}
        onHelp={() => setDialog('help')}
      />
      <div className="pane">
        {route.kind === 'conversation' ? (
          <ConversationPane key={route.id} id={route.id} />
        ) : route.kind === 'unknown' ? (
          <Empty icon="search" title={strings.unknownPage.title} hint={strings.unknownPage.hint} isAlert>
            <button type="button" className="button quiet" onClick={() => go('/', true)}>
              {strings.conversation.back}
            </button>
          </Empty>
        ) : (
          <Nothing onStart={() => setDialog('start')} />
        )}
      </div>
      {dialog === 'start' && <Switcher onClose={close} />}
      {dialog === 'settings' && <Settings onClose={close} />}
      {dialog === 'help' && <Help onClose={close} />}
      <Announcements />
    </main>
  );
}

/** Shown beside the list when no conversation is open. */
function Nothing({ onStart }: { onStart: () => void }) {
  const { conversations, isLoading } = useConversations();
  const isNarrow = useMedia(narrow);
  // There the list fills the window.
  if (isNarrow) return null;
  if (conversations.length > 0) return <Empty icon="bubble" title={strings.conversation.none} hint={strings.conversation.noneHint} />;
  return isLoading ? null : <NoConversations onStart={onStart} />;
}

/** Shows connection problems. */
function ConnectionBanner() {
  const { client, connection } = useChat();
  const { status } = connection;
  const isDisconnected = useDelayedTrue(status !== 'online' && status !== 'rejected', status === 'offline' ? 0 : 1200);
  const isStored = useChatState((state) => state.isOutboxStored);
  const isAtRisk = useUnsent().length > 0 && !isStored;
  const was = useRef(false);
  const words = strings.connection;

  useEffect(() => {
    if (isDisconnected) was.current = true;
    else if (was.current && status === 'online') {
      was.current = false;
      announce(words.back);
    }
  }, [isDisconnected, status, words.back]);

  if (status === 'rejected')
    return (
      <div className="banner" role="alert">
        <span>
          {connection.problem === 'ADDRESS_NOT_ALLOWED'
            ? words.addressNotAllowed
            : connection.problem === 'NO_WEBSOCKET'
              ? words.noWebSocket
              : words.stopped}
        </span>
        {connection.problem === undefined && (
          <button type="button" className="link" onClick={() => location.reload()}>
            {words.reload}
          </button>
        )}
      </div>
    );
  const isRetry = status === 'reconnecting' || connection.attempt > 0;
  const statusText = status === 'offline' ? words.offline : isRetry ? words.reconnecting : words.connecting;
  // Always rendered: screen readers announce only changes within an existing live region.
  return (
    <div className={isDisconnected || isAtRisk ? 'banner' : 'banner hidden'} role="status">
      {(isDisconnected || isAtRisk) && (
        <>
          <Icon name="offline" size={16} />
          <span>{isAtRisk ? words.notKept : statusText}</span>
          {status !== 'connecting' && status !== 'online' && (
            <button type="button" className="link" onClick={() => client.reconnect()}>
              {words.tryNow}
            </button>
          )}
        </>
      )}
    </div>
  );
}

function Announcements() {
  return (
    <div className="hidden" role="log" aria-live="polite">
      {useAnnouncements().map(({ id, text }) => (
        <p key={id}>{text}</p>
      ))}
    </div>
  );
}
