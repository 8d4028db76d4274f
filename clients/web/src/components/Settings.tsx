import { useBlocked, useChatClient } from 'chat-react';
import { useState, type ReactNode } from 'react';
import { playSound, turnOnNotifications, useNotificationPermission } from '../alerts.ts';
import { useMedia } from '../hooks.ts';
import { failureOf, isolated, nameOf } from '../people.ts';
import { changeSettings, useSettings, type TextSize } from '../settings.ts';
import { strings } from '../strings.ts';
import { setTheme, useTheme, type Theme } from '../theme.ts';
import { Avatar } from './Avatar.tsx';
import { Dialog } from './Dialog.tsx';

/** The settings, and the list of blocked people. */
export function Settings({ onClose }: { onClose: () => void }) {
  const words = strings.settings;
  const theme = useTheme();
  const settings = useSettings();
  const hasKeyboard = useMedia('(hover: hover)');
  const themes: [Theme, string][] = [['system', words.system], ['light', words.light], ['dark', words.dark]];
  const sizes: [TextSize, string][] = [['small', words.small], ['normal', words.normal], ['large', words.large], ['larger', words.larger]];
  return (
    <Dialog title={words.title} className="settings" onClose={onClose}>
      <Choice label={words.appearance} name="theme" options={themes} value={theme} onChoose={setTheme} />
      <Choice
        label={words.textSize}
        name="text-size"
        options={sizes}
        value={settings.textSize}
        onChoose={(textSize) => changeSettings({ textSize })}
      />
      <Section label={words.writing}>
        <Switch
          label={words.enterSends}
          checked={settings.enterSends ?? hasKeyboard}
          onChange={(enterSends) => changeSettings({ enterSends })}
        />
      </Section>
      <Section label={words.notifications}>
        <Notifications />
      </Section>
      <Section label={strings.block.listTitle}>
        <Blocked />
      </Section>
    </Dialog>
  );
}

function Section({ label, children }: { label: string; children: ReactNode }) {
  return (
    <section className="setting" aria-label={label}>
      <h3>{label}</h3>
      {children}
    </section>
  );
}

interface ChoiceProps<Value extends string> {
  label: string;
  name: string;
  options: [Value, string][];
  value: Value;
  onChoose: (value: Value) => void;
}

function Choice<Value extends string>({ label, name, options, value, onChoose }: ChoiceProps<Value>) {
  return (
    <fieldset className="setting">
      <legend>{label}</legend>
      <div className="choice">
        {options.map(([option, text]) => (
          <label key={option}>
            <input type="radio" name={name} value={option} checked={option === value} onChange={() => onChoose(option)} />
            <span>{text}</span>
          </label>
        ))}
      </div>
    </fieldset>
  );
}

interface SwitchProps {
  label: string;
  hint?: string;
  checked: boolean;
  disabled?: boolean;
  onChange: (checked: boolean) => void;
}

export function Switch({ label, hint, checked, disabled, onChange }: SwitchProps) {
  return (
    <label className="switch">
      <span>
        {label}
        {hint !== undefined && <small>{hint}</small>}
      </span>
      <input type="checkbox" role="switch" checked={checked} disabled={disabled} onChange={(event) => onChange(event.target.checked)} />
    </label>
  );
}

function Notifications() {
  const words = strings.settings;
  const { notifies, sounds } = useSettings();
  const permission = useNotificationPermission();
  const isRefused = permission === undefined || permission === 'denied';
  return (
    <>
      <Switch
        label={words.notify}
        {...(isRefused && { hint: words.notifyRefused })}
        checked={notifies && permission === 'granted'}
        disabled={isRefused}
        onChange={(on) => (on ? void turnOnNotifications() : changeSettings({ notifies: false }))}
      />
      <Switch
        label={words.sound}
        checked={sounds}
        onChange={(on) => {
          changeSettings({ sounds: on });
          if (on) playSound();
        }}
      />
    </>
  );
}

function Blocked() {
  const words = strings.block;
  const client = useChatClient();
  const blocked = useBlocked();
  const [error, setError] = useState<string>();
  if (blocked.length === 0) return <p className="hint">{words.listEmpty}</p>;
  return (
    <>
      <ul className="blocked">
        {blocked.map(({ userId: id, member }) => {
          const name = nameOf(member);
          return (
            <li key={id}>
              <Avatar id={id} name={name} size="small" />
              <bdi>{name}</bdi>
              <button
                type="button"
                className="button quiet"
                aria-label={strings.menu.unblock(isolated(name))}
                onClick={() => {
                  setError(undefined);
                  client.unblock({ userId: id }).catch((why: unknown) => setError(failureOf(strings.conversation.unblockFailed, why)));
                }}
              >
                {strings.conversation.unblock}
              </button>
            </li>
          );
        })}
      </ul>
      {error !== undefined && (
        <p className="error" role="alert">
          {error}
        </p>
      )}
    </>
  );
}
