export { endOf, readAll, type SocketPair, socketPair } from './sockets.ts'
