import { useChat, useUnsent } from 'chat-react';
import { useState } from 'react';
import { ownName } from '../session.ts';
import { strings } from '../strings.ts';
import { Avatar } from './Avatar.tsx';
import { Confirm } from './Dialog.tsx';
import { Menu } from './Menu.tsx';

/** One's own picture, and behind it everything that is about oneself. */
export function OwnMenu({ onSettings, onHelp }: { onSettings: () => void; onHelp: () => void }) {
  const { client, me } = useChat();
  const unsent = useUnsent().length;
  const [asks, setAsks] = useState(false);
  const words = strings.menu;
  const name = ownName();

  const signOut = () => {
    // What cannot be removed from a storage that fails is not worth staying for: the session has ended by then.
    client.signOut().catch((failure: unknown) => console.error(failure));
  };

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
                onSelect: () => (unsent > 0 ? setAsks(true) : signOut()),
              },
            ],
          },
        ]}
      />
      {asks && (
        <Confirm title={strings.signOut.title(unsent)} confirm={strings.signOut.discard} cancel={strings.signOut.stay} danger onConfirm={signOut} onClose={() => setAsks(false)}>
          {strings.signOut.hint}
        </Confirm>
      )}
    </>
  );
}
