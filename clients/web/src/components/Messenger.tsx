import { useChat } from 'chat-react';
import { useEffect, useRef, useState } from 'react';
import { announce, useAnnouncement, useLasting } from '../hooks.ts';
import { useConversationId } from '../router.ts';
import { setSession } from '../session.ts';
import { strings } from '../strings.ts';
import { ConversationPane } from './ConversationPane.tsx';
import { Icon } from './Icon.tsx';
import { NewConversation } from './NewConversation.tsx';
import { Sidebar } from './Sidebar.tsx';

const notAuthorised = 4501;

/** Everything, once somebody has signed in. */
export function Messenger() {
  const { connection, totalUnread } = useChat();
  const conversationId = useConversationId();
  const [starting, setStarting] = useState(false);

  // Where the server does not accept the token, only a new one helps.
  const turnedAway = connection.status === 'refused' && connection.closeCode === notAuthorised;
  useEffect(() => {
    if (turnedAway) setSession(null, strings.signIn.ended);
  }, [turnedAway]);

  useEffect(() => {
    document.title = totalUnread > 0 ? `(${totalUnread}) ${strings.product}` : strings.product;
  }, [totalUnread]);

  useEffect(() => {
    const onKeyDown = (event: KeyboardEvent) => {
      if (!(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== 'k') return;
      event.preventDefault();
      setStarting(true);
    };
    window.addEventListener('keydown', onKeyDown);
    return () => window.removeEventListener('keydown', onKeyDown);
  }, []);

  return (
    <main className="app" data-view={conversationId ? 'conversation' : 'list'}>
      <ConnectionBanner />
      <Sidebar chosen={conversationId} onStart={() => setStarting(true)} />
      <div className="pane">
        {conversationId ? (
          <ConversationPane key={conversationId} id={conversationId} />
        ) : (
          <div className="empty">
            <Icon name="bubble" size={48} />
            <h2>{strings.conversation.none}</h2>
            <p>{strings.conversation.noneHint}</p>
          </div>
        )}
      </div>
      {starting && <NewConversation onClose={() => setStarting(false)} />}
      <Announcements />
    </main>
  );
}

/** How it stands with the connection, when that is worth a word. */
function ConnectionBanner() {
  const { client, connection } = useChat();
  const { status } = connection;
  const away = useLasting(status !== 'online' && status !== 'refused', status === 'offline' ? 0 : 1200);
  const was = useRef(false);
  const words = strings.connection;

  useEffect(() => {
    if (away) was.current = true;
    else if (was.current && status === 'online') {
      was.current = false;
      announce(words.back);
    }
  }, [away, status, words.back]);

  if (status === 'refused')
    return (
      <div className="banner" role="alert">
        {words.stopped}
        <button type="button" className="link" onClick={() => location.reload()}>
          {words.reload}
        </button>
      </div>
    );
  // There from the beginning, since only what changes in a living region is read out.
  return (
    <div className={away ? 'banner' : 'banner hidden'} role="status">
      {away && (
        <>
          <Icon name="offline" size={16} />
          {status === 'offline' ? words.offline : status === 'waiting' || connection.attempt > 0 ? words.waiting : words.connecting}
          {status === 'waiting' && (
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
      {useAnnouncement()}
    </div>
  );
}
