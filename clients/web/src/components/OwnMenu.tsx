import { ChatError } from 'chat-client';
import { useChat, useUnsent } from 'chat-react';
import { useState } from 'react';
import { failureOf } from '../people.ts';
import { ownName } from '../session/session.ts';
import { strings } from '../strings.ts';
import { Avatar } from './Avatar.tsx';
import { Confirm } from './Dialog.tsx';
import { Menu } from './Menu.tsx';

/** The question before a sign-out, or after one that failed. */
type Question = 'unsent' | 'everywhere' | { readonly failure: string };

/** The user's avatar, which opens the account menu. */
export function OwnMenu({ onSettings, onHelp }: { onSettings: () => void; onHelp: () => void }) {
  const { client, me } = useChat();
  const unsent = useUnsent().length;
  const [question, setQuestion] = useState<Question>();
  const words = strings.menu;
  const name = ownName();

  const signOut = () => {
    // The session has ended; only removing data from a failing storage did not work.
    client.signOut().catch((failure: unknown) => console.error(failure));
  };

  const signOutEverywhere = () => {
    client.signOutEverywhere().catch((failure: unknown) => {
      // A ChatError: still signed in. Anything else: signed out, as above.
      if (failure instanceof ChatError) setQuestion({ failure: failureOf(strings.signOut.everywhereFailed, failure) });
      else console.error(failure);
    });
  };

  const close = () => setQuestion(undefined);
  return (
    <>
      <Menu
        label={words.you}
        className="avatar-button"
        button={<Avatar id={me?.userId ?? ''} name={name} size="small" />}
        groups={[
          {
            label: name,
            items: [
              { label: strings.settings.title, icon: 'settings', onSelect: onSettings },
              { label: strings.help.title, icon: 'keyboard', onSelect: onHelp },
            ],
          },
          {
            items: [
              {
                label: words.signOut,
                icon: 'leave',
                onSelect: () => (unsent > 0 ? setQuestion('unsent') : signOut()),
              },
              { label: words.signOutEverywhere, icon: 'devices', onSelect: () => setQuestion('everywhere') },
            ],
          },
        ]}
      />
      {question === 'unsent' && (
        <Confirm
          title={strings.signOut.title(unsent)}
          confirm={strings.signOut.discard}
          cancel={strings.signOut.stay}
          danger
          onConfirm={signOut}
          onClose={close}
        >
          {strings.signOut.hint}
        </Confirm>
      )}
      {question === 'everywhere' && (
        <Confirm
          title={strings.signOut.everywhereTitle}
          confirm={words.signOutEverywhere}
          cancel={strings.signOut.stay}
          danger
          onConfirm={signOutEverywhere}
          onClose={close}
        >
          {strings.signOut.everywhereHint}
        </Confirm>
      )}
      {typeof question === 'object' && (
        <Confirm
          title={words.signOutEverywhere}
          confirm={strings.list.retry}
          cancel={strings.signOut.stay}
          onConfirm={signOutEverywhere}
          onClose={close}
        >
          {question.failure}
        </Confirm>
      )}
    </>
  );
}
