import { createRoot } from 'react-dom/client';
import { App } from './App.tsx';
import { go } from './router.ts';
import { endSession, restoreSession, startSession } from './session/session.ts';
import { fetchClientInfo } from './session/signIn.ts';
import { applySettings } from './settings.ts';
import { direction, loadStrings, locale, strings } from './strings.ts';
import { applyTheme } from './theme.ts';
import { startWorker } from './worker.ts';
import './styles/tokens.css';
import './styles/base.css';
import './styles/layout.css';
import './styles/dialogs.css';
import './styles/signin.css';
import './styles/list.css';
import './styles/messages.css';
import './styles/emoji.css';
import './styles/contrast.css';

applyTheme();
applySettings();
await loadStrings(navigator.languages);
document.documentElement.lang = locale;
document.documentElement.dir = direction();
restoreSession();
if (new URLSearchParams(location.search).has('state')) await completeSignIn();
createRoot(document.getElementById('root')!).render(<App />);
// The dev server's files have no hashes, so they cannot be cached.
if (import.meta.env.PROD) startWorker().catch((failure: unknown) => console.error(failure));

/** Completes a sign-in after the redirect from the issuer, with a code or an error. */
async function completeSignIn(): Promise<void> {
  try {
    const [{ oidc }, { finish }] = await Promise.all([fetchClientInfo(), import('./session/oidc.ts')]);
    const done = oidc && (await finish(oidc));
    if (done) startSession(done.signedIn);
    go(done?.path ?? '/', true);
  } catch (failure) {
    // The console has the details for whoever configures this; a user can only try again.
    console.error(failure);
    endSession(strings.signIn.issuerFailed);
    history.replaceState(null, '', '/');
  }
}
