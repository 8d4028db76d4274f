import { createChat } from 'chat-client';
import { ChatProvider } from 'chat-react';
import { useEffect, useState } from 'react';
import { Messenger } from './components/Messenger.tsx';
import { SignIn } from './components/SignIn.tsx';
import { base } from './base.ts';
import { forgetEmoji } from './emoji.ts';
import { go } from './router.ts';
import { setSession, token, useUserId } from './session.ts';

export function App() {
  const userId = useUserId();
  return userId === null ? <SignIn /> : <SignedIn key={userId} userId={userId} />;
}

function SignedIn({ userId }: { userId: string }) {
  const [client] = useState(() => createChat({ url: location.origin + base, token, userId }));
  useEffect(() => {
    // Here or in another window of the same browser.
    const unsubscribe = client.on('signedOut', () => {
      forgetEmoji(userId);
      setSession(null);
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
