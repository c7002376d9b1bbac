// A group of a CPU device has a thread of the system for every thread of a warp; two at once only disturb each other.
[assembly: CollectionBehavior(DisableTestParallelization = true)]
