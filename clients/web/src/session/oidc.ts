import { SignInRequiredError, webStorage } from 'chat-client';
import * as oauth from 'oauth4webapi';
import { base } from '../base.ts';
import { SignInError, type IssuerInfo } from './signIn.ts';
import { strings } from '../strings.ts';
import type { SignedIn } from './storage.ts';

/** Sign-in by OpenID Connect: code flow with PKCE (RFC 7636), as a public client. Loaded on demand. */

const key = 'chat.oidc';
const storage = webStorage('sessionStorage');
const timeout = 10_000;

interface Pending {
  readonly verifier: string;
  readonly state: string;
  readonly nonce: string;
  readonly rememberMe: boolean;
  /** Where to return to in the page. */
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

// Plain http only where the server itself accepts it: an issuer on the same machine.
const options = (info: IssuerInfo) => ({
  [oauth.allowInsecureRequests]: info.authority.startsWith('http:'),
  signal: () => AbortSignal.timeout(timeout),
});

/** Redirects to the issuer. */
export async function begin(info: IssuerInfo, rememberMe: boolean, path: string): Promise<void> {
  // The challenge is a hash, and browsers have crypto.subtle in secure contexts only.
  if ((crypto as Partial<Crypto>).subtle === undefined) throw new SignInError(strings.signIn.insecure);
  const issuer = await issuerOf(info);
  const pending: Pending = {
    verifier: oauth.generateRandomCodeVerifier(),
    state: oauth.generateRandomState(),
    nonce: oauth.generateRandomNonce(),
    rememberMe,
    path,
  };
  // It must survive the redirect, so memory will not do.
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

/** Completes the sign-in after the redirect back. Null if none was in progress. */
export async function finish(info: IssuerInfo): Promise<{ readonly signedIn: SignedIn; readonly path: string } | null> {
  const stored = storage.get(key);
  if (!stored) return null;
  storage.remove(key);
  const pending = JSON.parse(stored) as Pending;
  const issuer = await issuerOf(info);
  const client = { client_id: info.clientId };
  const parameters = oauth.validateAuthResponse(issuer, client, new URL(location.href), pending.state);
  const answer = await oauth.authorizationCodeGrantRequest(
    issuer, client, oauth.None(), parameters, redirectUri(), pending.verifier, options(info),
  );
  const response = await oauth.processAuthorizationCodeResponse(issuer, client, answer, { expectedNonce: pending.nonce });
  return { signedIn: { ...tokensOf(response), rememberMe: pending.rememberMe }, path: pending.path };
}

/** Rejects with `SignInRequiredError` if the issuer will never issue another token. */
export async function refresh(info: IssuerInfo, refreshToken: string): Promise<Tokens> {
  const issuer = await issuerOf(info);
  const client = { client_id: info.clientId };
  const answer = await oauth.refreshTokenGrantRequest(issuer, client, oauth.None(), refreshToken, options(info));
  try {
    return tokensOf(await oauth.processRefreshTokenResponse(issuer, client, answer));
  } catch (failure) {
    // RFC 6749, 5.2: invalid_grant above all. A 5xx or a 429 may be temporary.
    const isFinal = failure instanceof oauth.ResponseBodyError && failure.status < 500 && failure.status !== 429;
    throw isFinal ? new SignInRequiredError(failure.error) : failure;
  }
}

const tokensOf = ({ access_token, refresh_token }: oauth.TokenEndpointResponse): Tokens => ({
  token: access_token,
  ...(refresh_token !== undefined && { refreshToken: refresh_token }),
});
