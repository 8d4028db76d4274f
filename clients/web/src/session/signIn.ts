import { base } from '../base.ts';
import { strings } from '../strings.ts';
import { claimsOf } from './claims.ts';
import { startSession } from './session.ts';

/** The answer of `GET /client.json`: how users sign in. */
export interface ClientInfo {
  readonly devSignIn: boolean;
  readonly oidc?: IssuerInfo;
}

export interface IssuerInfo {
  readonly authority: string;
  readonly clientId: string;
  readonly scope: string;
}

/** A sign-in that failed; the message is for the user. */
export class SignInError extends Error {}

const fetchTimeout = 10_000;

export async function fetchClientInfo(): Promise<ClientInfo> {
  const answer = await fetch(`${base}client.json`, { signal: AbortSignal.timeout(fetchTimeout) });
  if (!answer.ok) throw new SignInError(strings.signIn.unreachable);
  return (await answer.json()) as ClientInfo;
}

export async function signInByName(devName: string, rememberMe: boolean): Promise<void> {
  startSession({ token: await fetchDevToken(devName), devName, rememberMe });
}

export function signInByToken(token: string, rememberMe: boolean): void {
  if (claimsOf(token).sub === undefined) throw new SignInError(strings.signIn.tokenUnreadable);
  startSession({ token, rememberMe });
}

export async function fetchDevToken(username: string): Promise<string> {
  const answer = await fetch(`${base}dev/token`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ username }),
    signal: AbortSignal.timeout(fetchTimeout),
  }).catch(() => {
    throw new SignInError(strings.signIn.unreachable);
  });
  if (answer.status === 400) throw new SignInError(strings.signIn.nameMissing);
  if (!answer.ok) throw new SignInError(strings.signIn.unreachable);
  return ((await answer.json()) as { token: string }).token;
}
