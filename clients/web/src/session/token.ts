import { createTokenSource, SignInRequiredError } from 'chat-client';
import { checkedSession, latestSession, renewSession } from './session.ts';
import { fetchClientInfo, fetchDevToken } from './signIn.ts';
import { sessionKey, type Session } from './storage.ts';

/** The access token for each connection and request. */
export const token = createTokenSource<Session>({
  name: sessionKey,
  read: checkedSession,
  latest: latestSession,
  write: renewSession,
  async refresh(session) {
    if (session.devName !== undefined) return { ...session, token: await fetchDevToken(session.devName) };
    if (session.refreshToken === undefined) return undefined;
    const [{ oidc }, { refresh }] = await Promise.all([fetchClientInfo(), import('./oidc.ts')]);
    if (!oidc) throw new SignInRequiredError('The server no longer has an issuer.');
    return { ...session, ...(await refresh(oidc, session.refreshToken)) };
  },
});
