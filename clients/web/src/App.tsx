import { createChat } from 'chat-client';
import { ChatProvider } from 'chat-react';
import { useEffect, useState } from 'react';
import { Messenger } from './components/Messenger.tsx';
import { SignIn } from './components/SignIn.tsx';
import { token, useUserId } from './session.ts';

export function App() {
  const userId = useUserId();
  return userId === null ? <SignIn /> : <SignedIn key={userId} />;
}

function SignedIn() {
  const [client] = useState(() => createChat({ url: location.origin, token }));
  useEffect(() => {
    client.start();
    return () => client.stop();
  }, [client]);
  return (
    <ChatProvider client={client}>
      <Messenger />
    </ChatProvider>
  );
}
