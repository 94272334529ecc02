import { inject } from 'vitest';
import { useBuiltProject } from '../helpers/fault-process.ts';

useBuiltProject(inject('builtProject'));
