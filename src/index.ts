/** The host loads this file before the functions. */
import { keepLoopbackDirect } from './config/proxy-environment.ts';

keepLoopbackDirect();
