/** `npm start`: everything in one process, until Ctrl-C. */
import { runHouse } from './run-house.ts';

await runHouse('one-process', process.env);
