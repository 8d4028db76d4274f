import { useEffect, useId, useLayoutEffect, useRef, useState, type KeyboardEvent, type ReactNode } from 'react';
import { createPortal } from 'react-dom';
import { Icon, type IconName } from './Icon.tsx';

export interface MenuItem {
  label: string;
  icon: IconName;
  onSelect: () => void;
  danger?: boolean;
  /** For radio items. */
  checked?: boolean;
}

/** Groups, separated by lines. */
export type MenuGroups = { label?: string; items: MenuItem[] }[];

interface MenuProps {
  label: string;
  button: ReactNode;
  groups: MenuGroups;
  className?: string;
}

/** A menu button, after the WAI-ARIA authoring practices. */
export function Menu({ label, button, groups, className = 'icon-button' }: MenuProps) {
  const [open, setOpen] = useState(false);
  const id = useId();
  const opener = useRef<HTMLButtonElement>(null);
  return (
    <>
      <button
        ref={opener}
        type="button"
        className={className}
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
        <MenuList
          id={id}
          label={label}
          groups={groups}
          anchor={opener.current!}
          onClose={(returnFocus) => {
            setOpen(false);
            if (returnFocus) opener.current?.focus();
          }}
        />
      )}
    </>
  );
}

interface MenuListProps {
  id?: string;
  label: string;
  groups: MenuGroups;
  /** The menu opens below this element, or above it if there is no room. */
  anchor: HTMLElement;
  /** Whether to return the focus to where it was. */
  onClose: (returnFocus: boolean) => void;
}

const margin = 8;

/** An open menu, above everything else and always within the window. */
export function MenuList({ id, label, groups, anchor, onClose }: MenuListProps) {
  const list = useRef<HTMLDivElement>(null);
  const close = useRef(onClose);
  close.current = onClose;
  const items = () => [...(list.current?.querySelectorAll<HTMLElement>('[role^="menuitem"]') ?? [])];

  useLayoutEffect(() => {
    const element = list.current!;
    const around = anchor.getBoundingClientRect();
    const { width, height } = element.getBoundingClientRect();
    const isRightToLeft = document.documentElement.dir === 'rtl';
    const startsLeft = around.left + around.width / 2 < innerWidth / 2;
    const left = startsLeft ? around.left : around.right - width;
    const below = around.bottom + 4;
    const top = below + height <= innerHeight - margin ? below : around.top - 4 - height;
    element.style.left = `${Math.max(margin, Math.min(left, innerWidth - width - margin))}px`;
    element.style.top = `${Math.max(margin, Math.min(top, innerHeight - height - margin))}px`;
    element.dataset.from = startsLeft !== isRightToLeft ? 'start' : 'end';
  }, [anchor]);

  useEffect(() => {
    items()[0]?.focus();
    const closeOutside = (event: Event) => {
      if (event.target instanceof Node && !list.current?.contains(event.target) && !anchor.contains(event.target)) close.current(false);
    };
    // The menu would stay behind when its button scrolls away.
    const closeWithScroll = (event: Event) => {
      if (event.target instanceof Node && event.target.contains(anchor)) close.current(false);
    };
    document.addEventListener('pointerdown', closeOutside);
    document.addEventListener('scroll', closeWithScroll, true);
    window.addEventListener('resize', closeWithScroll);
    return () => {
      document.removeEventListener('pointerdown', closeOutside);
      document.removeEventListener('scroll', closeWithScroll, true);
      window.removeEventListener('resize', closeWithScroll);
    };
  }, [anchor]);

  const onKeyDown = (event: KeyboardEvent) => {
    const all = items();
    const at = all.indexOf(document.activeElement as HTMLElement);
    const to = { ArrowDown: (at + 1) % all.length, ArrowUp: (at - 1 + all.length) % all.length, Home: 0, End: all.length - 1 }[event.key];
    if (to !== undefined) all[to]?.focus();
    else if (event.key === 'Escape') onClose(true);
    else if (event.key === 'Tab') return onClose(true);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  return createPortal(
    <div className="menu" role="menu" id={id} ref={list} aria-label={label} onKeyDown={onKeyDown}>
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
                onClose(true);
                item.onSelect();
              }}
            >
              <Icon name={item.icon} size={18} />
              <span className="menu-text">{item.label}</span>
              {item.checked && (
                <span className="tick">
                  <Icon name="tick" size={16} />
                </span>
              )}
            </button>
          ))}
        </div>
      ))}
    </div>,
    // Within the main landmark, as axe requires of all content.
    document.querySelector('.app') ?? document.body,
  );
}
