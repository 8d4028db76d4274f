import { SignInRequiredError, webStorage } from 'chat-client';
import * as oauth from 'oauth4webapi';
import { base } from './base.ts';
import { SignInError, type IssuerInfo } from './session.ts';
import { strings } from './strings.ts';

/** Sign-in by OpenID Connect: code flow with PKCE (RFC 7636), as a public client. Loaded only where it is used. */

const key = 'chat.oidc';
const storage = webStorage('sessionStorage');
const timeout = 10_000;

interface Pending {
  readonly verifier: string;
  readonly state: string;
  readonly nonce: string;
  readonly keep: boolean;
  /** Where in the page one wanted to go. */
  readonly path: string;
}

export interface Tokens {
  readonly token: string;
  readonly refreshToken?: string;
}

const redirectUri = (): string => location.origin + base;

async function issuerOf(info: IssuerInfo): Promise<oauth.AuthorizationServer> {
  const address = new URL(info.authority);
  return oauth.processDiscoveryResponse(address, await oauth.discoveryRequest(address, options(info)));
}

// Without encryption only where the server itself accepts it: an issuer on the same machine.
const options = (info: IssuerInfo) => ({
  [oauth.allowInsecureRequests]: info.authority.startsWith('http:'),
  signal: () => AbortSignal.timeout(timeout),
});

/** Leaves the page for the issuer's. */
export async function begin(info: IssuerInfo, keep: boolean, path: string): Promise<void> {
  // The challenge is a hash, which browsers make only for pages that came by https or from this machine.
  if ((crypto as Partial<Crypto>).subtle === undefined) throw new SignInError(strings.signIn.insecure);
  const issuer = await issuerOf(info);
  const pending: Pending = { verifier: oauth.generateRandomCodeVerifier(), state: oauth.generateRandomState(), nonce: oauth.generateRandomNonce(), keep, path };
  // In the page's memory it would not be there on the way back.
  if (!storage.set(key, JSON.stringify(pending))) throw new SignInError(strings.signIn.noStorage);
  const address = new URL(issuer.authorization_endpoint!);
  for (const [name, value] of Object.entries({
    client_id: info.clientId,
    redirect_uri: redirectUri(),
    response_type: 'code',
    scope: info.scope,
    state: pending.state,
    nonce: pending.nonce,
    code_challenge: await oauth.calculatePKCECodeChallenge(pending.verifier),
    code_challenge_method: 'S256',
  }))
    address.searchParams.set(name, value);
  location.assign(address);
}

/** Takes what the issuer has sent along with the way back. Without a sign-in under way, null. */
export async function finish(info: IssuerInfo): Promise<(Tokens & Pick<Pending, 'keep' | 'path'>) | null> {
  const stored = storage.get(key);
  if (!stored) return null;
  storage.remove(key);
  const pending = JSON.parse(stored) as Pending;
  const issuer = await issuerOf(info);
  const client = { client_id: info.clientId };
  const parameters = oauth.validateAuthResponse(issuer, client, new URL(location.href), pending.state);
  const answer = await oauth.authorizationCodeGrantRequest(issuer, client, oauth.None(), parameters, redirectUri(), pending.verifier, options(info));
  const tokens = await oauth.processAuthorizationCodeResponse(issuer, client, answer, { expectedNonce: pending.nonce });
  return { ...kept(tokens), keep: pending.keep, path: pending.path };
}

/** Rejects with `SignInRequiredError` where the issuer will never give another token. */
export async function refresh(info: IssuerInfo, refreshToken: string): Promise<Tokens> {
  const issuer = await issuerOf(info);
  const client = { client_id: info.clientId };
  const answer = await oauth.refreshTokenGrantRequest(issuer, client, oauth.None(), refreshToken, options(info));
  try {
    return kept(await oauth.processRefreshTokenResponse(issuer, client, answer));
  } catch (failure) {
    // RFC 6749, 5.2: invalid_grant above all. What the issuer says with a 5xx, or with 429, it may take back.
    const isFinal = failure instanceof oauth.ResponseBodyError && failure.status < 500 && failure.status !== 429;
    throw isFinal ? new SignInRequiredError(failure.error) : failure;
  }
}

const kept = (tokens: oauth.TokenEndpointResponse): Tokens => ({
  token: tokens.access_token,
  ...(tokens.refresh_token !== undefined && { refreshToken: tokens.refresh_token }),
});
