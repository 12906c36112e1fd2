/* `clickhouse local` out of the chDB library, as a process of its own: engine <library> <parent's pid> <arguments>.
   It dies with its parent. */
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

int main(int argc, char **argv) {
  if (argc < 3) return 64;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != atoi(argv[2])) return 1;
  void *library = dlopen(argv[1], RTLD_NOW);
  if (library == NULL) return fprintf(stderr, "%s\n", dlerror()), 1;
  void *(*run)(int, char **) = (void *(*)(int, char **))dlsym(library, "chdb_query_cmdline");
  const char *(*error_of)(void *) = (const char *(*)(void *))dlsym(library, "chdb_result_error");
  if (run == NULL || error_of == NULL) return fprintf(stderr, "%s\n", dlerror()), 1;
  argv[2] = "clickhouse";
  const char *error = error_of(run(argc - 2, argv + 2));
  fprintf(stderr, "%s\n", error == NULL ? "it ended by itself" : error);
  return 1;
}
