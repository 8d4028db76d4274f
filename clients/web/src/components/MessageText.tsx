import { memo, useMemo } from 'react';
import { partsOf, type Part } from '../markup.ts';

/** The content of a message as React elements around its text: it is never parsed as HTML. */
export const MessageText = memo(function MessageText({ content }: { content: string }) {
  const parts = useMemo(() => partsOf(content), [content]);
  return (
    <span className="text">
      <Parts parts={parts} />
    </span>
  );
});

function Parts({ parts }: { parts: readonly Part[] }) {
  return parts.map((part, index) => <One key={index} part={part} />);
}

function One({ part }: { part: Part }) {
  switch (part.kind) {
    case 'text':
      return part.text;
    case 'link':
      return (
        <a className="address" href={part.href} target="_blank" rel="noopener noreferrer nofollow">
          {part.text}
        </a>
      );
    case 'code':
    case 'block':
      return (
        <>
          <span className="syntax">{part.open}</span>
          <code className={part.kind} dir="ltr">
            {part.text}
          </code>
          <span className="syntax">{part.close}</span>
        </>
      );
    case 'bold':
    case 'italic': {
      const Element = part.kind === 'bold' ? 'strong' : 'em';
      return (
        <>
          <span className="syntax">{part.open}</span>
          <Element>
            <Parts parts={part.parts} />
          </Element>
          <span className="syntax">{part.close}</span>
        </>
      );
    }
  }
}
