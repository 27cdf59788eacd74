import { Catch, type RpcExceptionFilter } from '@nestjs/common';
import { throwError, type Observable } from 'rxjs';

/**
 * Lets a handler's error through as it is. Without it Nest answers every error with an Observable of
 * `{status: 'error', message: 'Internal server error'}`, and what went wrong is gone.
 */
@Catch()
export class KeepCauseFilter implements RpcExceptionFilter<unknown> {
  catch(exception: unknown): Observable<never> {
    return throwError(() => exception);
  }
}
