import { isMixedContent, restAddress } from './address.js';
import { ChatError, type ChatOptions } from './client.js';
import { withTimeout } from './delay.js';
import { isSignInRequired, type TokenRequest } from './token.js';
import type {
  BlockAdded, BlockList, BlockRemoved, Conversation, ConversationPage, ErrorCode, MessagePage, PersonRef, Problem,
  StatusBulk, UnreadSummary,
} from './wire.js';

/** The REST API. Calls reject with a `ChatError`. */
export interface ChatApi {
  conversations(query?: { limit?: number; cursor?: string }): Promise<ConversationPage>;
  conversation(conversationId: string): Promise<Conversation>;
  openConversation(person: PersonRef): Promise<Conversation>;
  /** Either `before` or `after` a number; without either the latest. */
  messages(conversationId: string, query?: { before?: number; after?: number; limit?: number }): Promise<MessagePage>;
  unread(): Promise<UnreadSummary>;
  blocks(): Promise<BlockList>;
  block(userId: string): Promise<BlockAdded>;
  unblock(userId: string): Promise<BlockRemoved>;
  presence(userIds: readonly string[]): Promise<StatusBulk>;
  /** Revokes all tokens of the user. `Chat.signOutEverywhere` also removes their data from this device. */
  signOutEverywhere(): Promise<void>;
}

const noContent = 204;

type Query = Record<string, string | number | undefined>;

/** For answers without problem details, as from a proxy. */
const codeOfStatus: Readonly<Record<number, ErrorCode>> = {
  400: 'VALIDATION_ERROR', 401: 'UNAUTHORIZED', 403: 'FORBIDDEN', 404: 'NOT_FOUND', 409: 'LIMIT_REACHED', 429: 'RATE_LIMITED',
};

export function createApi(
  options: Pick<ChatOptions, 'token' | 'fetch'>, base: string, timeout: number, signInRequired: (reason: string) => void,
): ChatApi {
  async function tokenOf(request: TokenRequest): Promise<string> {
    try {
      return await withTimeout(timeout, () => options.token(request));
    } catch (failure) {
      if (!isSignInRequired(failure)) throw failure;
      signInRequired(failure.message);
      throw new ChatError('UNAUTHORIZED', failure.message);
    }
  }

  async function ask(url: string, method: string, body: unknown, token: string): Promise<{ response: Response; text: string }> {
    const headers: Record<string, string> = { Authorization: `Bearer ${token}` };
    if (body !== undefined) headers['Content-Type'] = 'application/json';
    return withTimeout(timeout, async (signal) => {
      const response = await (options.fetch ?? fetch)(url, {
        method,
        headers,
        credentials: 'omit',
        signal,
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      return { response, text: await response.text() };
    });
  }

  async function call<Answer>(method: string, path: string, query: Query = {}, body?: unknown): Promise<Answer> {
    const url = restAddress(base, path, query);
    let response: Response;
    let text: string;
    try {
      const token = await tokenOf({});
      ({ response, text } = await ask(url, method, body, token));
      if (response.status === 401) {
        // The cached token is not accepted: retry once with another, if there is one.
        const other = await tokenOf({ refused: token });
        if (other !== token) ({ response, text } = await ask(url, method, body, other));
      }
    } catch (failure) {
      if (failure instanceof ChatError) throw failure;
      const hint = isMixedContent(base) ? ' A page that came by https may not use an http address.' : '';
      throw new ChatError('OFFLINE', `${failure instanceof Error ? failure.message : String(failure)}${hint}`);
    }

    const answer = parsed(text);
    if (response.ok && (answer !== undefined || response.status === noContent)) return answer as Answer;
    const problem = (answer ?? {}) as Partial<Problem>;
    const code = problem.code ?? codeOfStatus[response.status] ?? (response.status >= 500 ? 'UNAVAILABLE' : 'INTERNAL_ERROR');
    throw new ChatError(code, problem.detail ?? problem.title ?? `HTTP ${response.status}`, {
      retryable: response.status >= 500,
      ...problem,
    });
  }

  return {
    conversations: (query) => call('GET', 'conversations', query),
    conversation: (id) => call('GET', `conversations/${encodeURIComponent(id)}`),
    openConversation: (person) => call('POST', 'conversations', {}, person),
    messages: (id, query) => call('GET', `conversations/${encodeURIComponent(id)}/messages`, query),
    unread: () => call('GET', 'unread'),
    blocks: () => call('GET', 'blocks'),
    block: (userId) => call('PUT', `blocks/${encodeURIComponent(userId)}`),
    unblock: (userId) => call('DELETE', `blocks/${encodeURIComponent(userId)}`),
    presence: (userIds) => call('GET', 'presence', { userIds: userIds.join(',') }),
    signOutEverywhere: () => call('DELETE', 'sessions'),
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
