import { useEffect, useId, useRef, type ReactNode, type RefObject } from 'react';
import { dialogOpened } from '../hooks.ts';
import { strings } from '../strings.ts';
import { Icon } from './Icon.tsx';

interface DialogProps {
  title: string;
  onClose: () => void;
  /** For content that closes the dialog. */
  ref?: RefObject<HTMLDialogElement | null>;
  className?: string;
  /** Whether the content has buttons that close it. */
  hasButtons?: boolean;
  children: ReactNode;
}

/** A modal dialog. Esc and a click outside close it, and the focus returns to where it was. */
export function Dialog({ title, onClose, ref, className, hasButtons, children }: DialogProps) {
  const own = useRef<HTMLDialogElement>(null);
  const dialog = ref ?? own;
  const id = useId();

  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    dialog.current!.showModal();
    const closed = dialogOpened();
    return () => {
      closed();
      // The browser restores the focus only if the dialog is closed before it is removed.
      if (before?.isConnected && (document.activeElement === document.body || document.activeElement === null)) before.focus();
    };
  }, [dialog]);

  return (
    <dialog
      ref={dialog}
      className={`dialog ${className ?? ''}`}
      aria-labelledby={id}
      onClose={onClose}
      onPointerDown={(event) => {
        if (event.target === dialog.current) dialog.current.close();
      }}
    >
      <div className="dialog-body">
        <h2 id={id}>{title}</h2>
        {children}
        {/* Last, so that the content gets the initial focus. */}
        {!hasButtons && (
          <button
            type="button"
            className="icon-button dialog-close"
            aria-label={strings.dialog.close}
            title={strings.dialog.close}
            onClick={() => dialog.current?.close()}
          >
            <Icon name="close" />
          </button>
        )}
      </div>
    </dialog>
  );
}

interface ConfirmProps {
  title: string;
  children: ReactNode;
  /** Label of the confirming button. */
  confirm: string;
  cancel: string;
  danger?: boolean;
  onConfirm: () => void;
  onClose: () => void;
}

/** Asks for confirmation. */
export function Confirm({ title, children, confirm, cancel, danger, onConfirm, onClose }: ConfirmProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  return (
    <Dialog title={title} ref={dialog} hasButtons onClose={onClose}>
      <p>{children}</p>
      <div className="dialog-buttons">
        <button type="button" className="button quiet" autoFocus onClick={() => dialog.current?.close()}>
          {cancel}
        </button>
        <button
          type="button"
          className={danger ? 'button danger' : 'button primary'}
          onClick={() => {
            dialog.current?.close();
            onConfirm();
          }}
        >
          {confirm}
        </button>
      </div>
    </Dialog>
  );
}
