import { useEffect, useState, type FormEvent } from 'react';
import { useSignOutReason } from '../session/hooks.ts';
import { fetchClientInfo, signInByName, signInByToken, SignInError, type ClientInfo } from '../session/signIn.ts';
import { usePath } from '../router.ts';
import { strings } from '../strings.ts';
import { Logo } from './Icon.tsx';

export function SignIn() {
  const words = strings.signIn;
  const path = usePath();
  const signOutReason = useSignOutReason();
  const [info, setInfo] = useState<ClientInfo>();
  const [byToken, setByToken] = useState(false);
  const [value, setValue] = useState('');
  const [rememberMe, setRememberMe] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string>();

  useEffect(() => {
    document.title = words.title;
    load();
  }, []);

  function load() {
    setError(undefined);
    fetchClientInfo().then(setInfo, () => setError(words.unreachable));
  }

  async function attempt(signIn: () => void | Promise<void>) {
    setBusy(true);
    setError(undefined);
    try {
      await signIn();
    } catch (failure) {
      setError(failure instanceof SignInError ? failure.message : words.issuerFailed);
      setBusy(false);
    }
  }

  const named = info?.devSignIn === true && !byToken;
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const text = value.trim();
    if (named && text === '') return setError(words.nameMissing);
    void attempt(() => (named ? signInByName(text, rememberMe) : signInByToken(text, rememberMe)));
  };
  const withIssuer = (issuer: NonNullable<ClientInfo['oidc']>) =>
    attempt(async () => (await import('../session/oidc.ts')).begin(issuer, rememberMe, path));

  return (
    <main className="signin">
      <div className="signin-card">
        <header>
          <Logo />
          <h1>{words.title}</h1>
          <p>{named ? words.devIntro : words.intro}</p>
        </header>
        {signOutReason && (
          <p className="error" role="alert">
            {signOutReason}
          </p>
        )}
        {!info && error && (
          <>
            <p className="error" role="alert">
              {error}
            </p>
            <button type="button" className="button quiet" onClick={load}>
              {strings.list.retry}
            </button>
          </>
        )}
        {info?.oidc && (
          <>
            <button type="button" className="button primary" disabled={busy} onClick={() => void withIssuer(info.oidc!)}>
              {words.withIssuer}
            </button>
            <p className="or">{words.or}</p>
          </>
        )}
        {info && (
          <form onSubmit={submit} noValidate>
            <div className="field" key={named ? 'name' : 'token'}>
              <label htmlFor="credential">{named ? words.username : words.token}</label>
              {named ? (
                <input
                  id="credential"
                  name="username"
                  autoFocus
                  autoComplete="username"
                  autoCapitalize="none"
                  spellCheck={false}
                  maxLength={64}
                  value={value}
                  aria-describedby="credential-hint"
                  aria-invalid={error !== undefined}
                  onChange={(event) => setValue(event.target.value)}
                />
              ) : (
                <textarea
                  id="credential"
                  name="token"
                  rows={4}
                  autoComplete="off"
                  autoCapitalize="none"
                  spellCheck={false}
                  value={value}
                  aria-describedby="credential-hint"
                  aria-invalid={error !== undefined}
                  onChange={(event) => setValue(event.target.value)}
                />
              )}
              {error && (
                <p className="error" role="alert">
                  {error}
                </p>
              )}
              <p className="hint" id="credential-hint">
                {named ? words.usernameHint : words.tokenHint}
              </p>
            </div>
            <label className="check">
              <input type="checkbox" checked={rememberMe} onChange={(event) => setRememberMe(event.target.checked)} />
              {words.rememberMe}
            </label>
            <button type="submit" className={info.oidc ? 'button quiet' : 'button primary'} disabled={busy}>
              {busy ? words.submitting : words.submit}
            </button>
          </form>
        )}
        {info?.devSignIn && (
          <p className="hint">
            <button
              type="button"
              className="link"
              onClick={() => {
                setByToken(!byToken);
                setValue('');
                setError(undefined);
              }}
            >
              {byToken ? words.useName : words.useToken}
            </button>
          </p>
        )}
      </div>
    </main>
  );
}
