// The console is one a process, so tools that run inside it take turns.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
