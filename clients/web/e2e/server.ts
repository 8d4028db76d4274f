import { join } from 'node:path';
import { repository, startServer as start, type TestServer } from '../../testing/server.ts';

export { repository, type TestServer };

export const dll = process.env.CHAT_DLL ?? join(repository, 'src/Chat/bin/Debug/net10.0/Chat.dll');

/** A server without rate limits: tests fill conversations with thousands of messages. */
export const startServer = (program = dll): Promise<TestServer> =>
  start(program, { Limits__MessagesPerSecond: '100000', Limits__MessagesPerSecondPerUser: '100000', Limits__DrainSpread: '00:00:00.1' });
