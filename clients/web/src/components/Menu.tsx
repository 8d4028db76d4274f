import { useEffect, useId, useRef, useState, type KeyboardEvent, type ReactNode } from 'react';
import { Icon, type IconName } from './Icon.tsx';

export interface MenuItem {
  label: string;
  icon: IconName;
  onSelect: () => void;
  danger?: boolean;
  /** One of a group of which one is chosen. */
  checked?: boolean;
}

interface MenuProps {
  label: string;
  button: ReactNode;
  /** Groups, with a line between them. */
  groups: { label?: string; items: MenuItem[] }[];
}

/** A button and its menu, by the menu button pattern of the WAI-ARIA practices. */
export function Menu({ label, button, groups }: MenuProps) {
  const [open, setOpen] = useState(false);
  const id = useId();
  const anchor = useRef<HTMLDivElement>(null);
  const opener = useRef<HTMLButtonElement>(null);

  const items = () => [...(anchor.current?.querySelectorAll<HTMLElement>('[role^="menuitem"]') ?? [])];

  useEffect(() => {
    if (!open) return;
    items()[0]?.focus();
    const closeOutside = (event: PointerEvent) => {
      if (event.target instanceof Node && !anchor.current?.contains(event.target)) setOpen(false);
    };
    document.addEventListener('pointerdown', closeOutside);
    return () => document.removeEventListener('pointerdown', closeOutside);
  }, [open]);

  const close = () => {
    setOpen(false);
    opener.current?.focus();
  };

  const onKeyDown = (event: KeyboardEvent) => {
    const all = items();
    const at = all.indexOf(document.activeElement as HTMLElement);
    const to = { ArrowDown: (at + 1) % all.length, ArrowUp: (at - 1 + all.length) % all.length, Home: 0, End: all.length - 1 }[event.key];
    if (to !== undefined) all[to]?.focus();
    else if (event.key === 'Escape') close();
    else if (event.key === 'Tab') return setOpen(false);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  return (
    <div className="menu-anchor" ref={anchor}>
      <button
        ref={opener}
        type="button"
        className="icon-button"
        aria-haspopup="menu"
        aria-expanded={open}
        aria-controls={open ? id : undefined}
        aria-label={label}
        title={label}
        onClick={() => setOpen(!open)}
        onKeyDown={(event) => {
          if (event.key !== 'ArrowDown' || open) return;
          event.preventDefault();
          setOpen(true);
        }}
      >
        {button}
      </button>
      {open && (
        <div className="menu" role="menu" id={id} aria-label={label} onKeyDown={onKeyDown}>
          {groups.map((group, index) => (
            <div key={index} role="group" aria-label={group.label}>
              {index > 0 && <hr />}
              {group.label && (
                <div className="menu-label" aria-hidden="true">
                  {group.label}
                </div>
              )}
              {group.items.map((item) => (
                <button
                  key={item.label}
                  type="button"
                  tabIndex={-1}
                  role={item.checked === undefined ? 'menuitem' : 'menuitemradio'}
                  aria-checked={item.checked}
                  className={item.danger ? 'danger' : undefined}
                  onClick={() => {
                    close();
                    item.onSelect();
                  }}
                >
                  <Icon name={item.icon} size={18} />
                  {item.label}
                  {item.checked && (
                    <span className="tick">
                      <Icon name="tick" size={16} />
                    </span>
                  )}
                </button>
              ))}
            </div>
          ))}
        </div>
      )}
    </div>
  );
}
