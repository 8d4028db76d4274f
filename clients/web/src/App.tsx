import { createChat, indexedDbCache, type ConversationCache } from 'chat-client';
import { ChatProvider } from 'chat-react';
import { useEffect, useState } from 'react';
import { Messenger } from './components/Messenger.tsx';
import { SignIn } from './components/SignIn.tsx';
import { base } from './base.ts';
import { forgetEmoji } from './emoji.ts';
import { go } from './router.ts';
import { useUserId } from './session/hooks.ts';
import { endSession, isRemembered } from './session/session.ts';
import { token } from './session/token.ts';
import { strings } from './strings.ts';

export function App() {
  const userId = useUserId();
  return userId === null ? <SignIn /> : <SignedIn key={userId} userId={userId} />;
}

/** Messages are cached only on devices on which the user has chosen to stay signed in. */
function cacheOf(userId: string): ConversationCache | undefined {
  if (typeof indexedDB === 'undefined') return undefined;
  const cache = indexedDbCache();
  if (isRemembered()) return cache;
  // An earlier sign-in may have chosen otherwise.
  cache.clear(userId).catch((failure: unknown) => console.warn('The cache of an earlier sign-in could not be removed.', failure));
  return undefined;
}

function SignedIn({ userId }: { userId: string }) {
  const [client] = useState(() => {
    const cache = cacheOf(userId);
    return createChat({ url: location.origin + base, token, userId, ...(cache && { cache }) });
  });
  useEffect(() => {
    // Here, in another window of this browser, or on all devices.
    const unsubscribe = client.on('signedOut', ({ everywhere }) => {
      forgetEmoji(userId);
      endSession(everywhere ? strings.signIn.revoked : null);
      go('/', true);
    });
    client.start();
    return () => {
      unsubscribe();
      client.stop();
    };
  }, [client, userId]);
  return (
    <ChatProvider client={client}>
      <Messenger />
    </ChatProvider>
  );
}
