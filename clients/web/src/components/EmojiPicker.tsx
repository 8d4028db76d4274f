import { useEffect, useId, useLayoutEffect, useRef, useState, type KeyboardEvent, type RefObject } from 'react';
import { findEmoji, recentEmoji, useEmoji, type Emoji } from '../emoji.ts';
import { useMedia } from '../hooks.ts';
import { strings } from '../strings.ts';
import { Icon } from './Icon.tsx';

const mostFound = 120;

/** The icon of each group; the first group are the recent ones. */
const faces = ['🕘', '😀', '👋', '🐻', '🍔', '✈️', '⚽', '💡', '❤️', '🏁'];

interface EmojiPickerProps {
  id: string;
  userId: string;
  /** The button that opens and closes the picker. */
  opener: RefObject<HTMLElement | null>;
  onChoose: (emoji: Emoji) => void;
  onClose: (returnFocus: boolean) => void;
}

/** A picker for emoji, with groups and a search. */
export function EmojiPicker({ id, userId, opener, onChoose, onClose }: EmojiPickerProps) {
  const words = strings.emoji;
  const { set, hasFailed } = useEmoji(true);
  const [query, setQuery] = useState('');
  const [recent] = useState(() => recentEmoji(userId));
  const [group, setGroup] = useState(recent.length > 0 ? 0 : 1);
  const [current, setCurrent] = useState(0);
  const listId = useId();
  const panel = useRef<HTMLDivElement>(null);
  const search = useRef<HTMLInputElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const hasKeyboard = useMedia('(hover: hover)');
  const isSearching = query.trim() !== '';
  const all = set?.groups.flat();
  const recentFound = () => recent.flatMap((text) => all!.find((emoji) => emoji.text === text) ?? []);
  const shown = !set ? [] : isSearching ? findEmoji(set, query, mostFound) : group > 0 ? set.groups[group - 1]! : recentFound();

  // On devices without a keyboard the on-screen one would cover the picker.
  useEffect(() => (hasKeyboard ? search.current : panel.current)?.focus({ preventScroll: true }), [hasKeyboard]);

  const close = useRef(onClose);
  close.current = onClose;
  useEffect(() => {
    const closeOutside = (event: Event) => {
      const { target } = event;
      if (target instanceof Node && !panel.current?.contains(target) && !opener.current?.contains(target)) close.current(false);
    };
    document.addEventListener('pointerdown', closeOutside);
    document.addEventListener('focusin', closeOutside);
    return () => {
      document.removeEventListener('pointerdown', closeOutside);
      document.removeEventListener('focusin', closeOutside);
    };
  }, [opener]);

  useLayoutEffect(() => {
    setCurrent(0);
    if (list.current) list.current.scrollTop = 0;
  }, [query, group]);

  const options = () => [...(list.current?.children ?? [])] as HTMLElement[];
  const focus = (index: number) => {
    setCurrent(index);
    options()[index]?.focus();
  };

  const moveInList = (event: KeyboardEvent) => {
    const all = options();
    const at = all.indexOf(event.target as HTMLElement);
    if (at < 0) return;
    const columns = all.filter((option) => option.offsetTop === all[0]!.offsetTop).length;
    const forward = document.documentElement.dir === 'rtl' ? -1 : 1;
    const to = {
      ArrowRight: at + forward,
      ArrowLeft: at - forward,
      ArrowDown: at + columns,
      ArrowUp: at - columns,
      Home: 0,
      End: all.length - 1,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    if (to < 0 && event.key === 'ArrowUp') search.current?.focus();
    else if (to >= 0 && to < all.length) focus(to);
    // From a full row to the end of a shorter one.
    else if (event.key === 'ArrowDown') focus(all.length - 1);
  };

  const moveInTabs = (event: KeyboardEvent<HTMLElement>) => {
    const tabs = [...event.currentTarget.children] as HTMLElement[];
    const at = tabs.indexOf(event.target as HTMLElement);
    const forward = document.documentElement.dir === 'rtl' ? -1 : 1;
    const to = { ArrowRight: at + forward, ArrowLeft: at - forward, Home: 0, End: tabs.length - 1 }[event.key];
    if (event.key === 'ArrowDown') {
      event.preventDefault();
      focus(current);
    }
    if (to === undefined) return;
    event.preventDefault();
    const tab = tabs.at(to % tabs.length)!;
    tab.focus();
    tab.click();
  };

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.nativeEvent.isComposing) return;
    const inSearch = event.target === search.current;
    if (event.key === 'Escape') {
      event.preventDefault();
      onClose(true);
    } else if (event.key === 'Enter' || (event.key === ' ' && !inSearch)) {
      const emoji = inSearch ? (isSearching ? shown[0] : undefined) : shown[options().indexOf(event.target as HTMLElement)];
      if (emoji) onChoose(emoji);
      // Not the surrounding form.
      if (emoji || inSearch) event.preventDefault();
    } else if (inSearch && event.key === 'ArrowDown') {
      event.preventDefault();
      focus(0);
    } else if (!inSearch && [...event.key].length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey) {
      // Typing goes to the search field, including the key that was pressed.
      search.current?.focus();
    }
  };

  return (
    <div ref={panel} id={id} className="emoji-picker" role="dialog" aria-label={words.open} tabIndex={-1} onKeyDown={onKeyDown}>
      <div className="emoji-search">
        <Icon name="search" size={18} />
        <input
          ref={search}
          type="search"
          value={query}
          placeholder={words.search}
          aria-label={words.search}
          aria-controls={listId}
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          enterKeyHint="done"
          onChange={(event) => setQuery(event.target.value)}
        />
      </div>
      {!isSearching && (
        <div className="emoji-tabs" role="tablist" aria-label={words.groups} onKeyDown={moveInTabs}>
          {faces.map((face, index) =>
            index === 0 && recent.length === 0 ? null : (
              <button
                key={face}
                type="button"
                role="tab"
                aria-selected={index === group}
                aria-controls={listId}
                aria-label={words.group[index]}
                title={words.group[index]}
                tabIndex={index === group ? 0 : -1}
                onClick={(event) => {
                  setGroup(index);
                  event.currentTarget.scrollIntoView({ block: 'nearest', inline: 'nearest' });
                }}
              >
                {face}
              </button>
            ),
          )}
        </div>
      )}
      {shown.length > 0 ? (
        <div
          ref={list}
          id={listId}
          className="emoji-list"
          role="listbox"
          aria-label={isSearching ? words.search : words.group[group]}
          lang={set?.language}
          onKeyDown={moveInList}
        >
          {shown.map((emoji, index) => (
            <div
              key={emoji.text}
              role="option"
              aria-selected={index === current}
              aria-label={emoji.name}
              title={emoji.codes[0] === undefined ? emoji.name : `${emoji.name} :${emoji.codes[0]}:`}
              tabIndex={index === current ? 0 : -1}
              onFocus={() => setCurrent(index)}
              onClick={() => onChoose(emoji)}
            >
              {emoji.text}
            </div>
          ))}
        </div>
      ) : (
        <p id={listId} className="emoji-none" role="status">
          {hasFailed ? words.failed : set ? words.none : strings.loading}
        </p>
      )}
    </div>
  );
}
