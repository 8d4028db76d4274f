import { webStorage, type KeyValueStore } from './webStorage.js';
import type { Draft } from './state.js';

/** Stores drafts by user and conversation, across reloads and sign-ins. */
export interface DraftStorage {
  /** A user's drafts, by conversation. */
  load(userId: string): Readonly<Record<string, Draft>>;
  get(userId: string, conversationId: string): Draft | undefined;
  put(userId: string, conversationId: string, draft: Draft): void;
  remove(userId: string, conversationId: string): void;
}

const prefixOf = (userId: string) => `chat.draft.${userId}.`;

/** Drafts in localStorage, shared by all tabs; in memory if that is blocked, full or missing. */
export function localDraftStorage(storage: KeyValueStore = webStorage('localStorage')): DraftStorage {
  const get = (key: string): Draft | undefined => parsed(storage.get(key));
  return {
    load(userId) {
      const prefix = prefixOf(userId);
      const drafts: Record<string, Draft> = {};
      for (const key of storage.keys(prefix)) {
        const draft = get(key);
        if (draft) drafts[key.slice(prefix.length)] = draft;
      }
      return drafts;
    },
    get: (userId, conversationId) => get(prefixOf(userId) + conversationId),
    put(userId, conversationId, draft) {
      storage.set(prefixOf(userId) + conversationId, JSON.stringify(draft));
    },
    remove(userId, conversationId) {
      storage.remove(prefixOf(userId) + conversationId);
    },
  };
}

/** Anything may be in the storage. */
function parsed(value: string | null): Draft | undefined {
  if (value === null) return undefined;
  try {
    const { content, changedAt } = JSON.parse(value) as Partial<Draft>;
    return typeof content === 'string' && typeof changedAt === 'string' ? { content, changedAt } : undefined;
  } catch {
    return undefined;
  }
}
