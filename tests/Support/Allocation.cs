namespace PureQLora.Testing;

/// <summary>Managed memory that code allocates on the calling thread.</summary>
internal static class Allocation
{
    /// <summary>
    /// The least of several measurements: what allocates does so every time, while a collection that a test beside this one causes
    /// adds the unused rest of this thread's allocation buffer, up to 8 KB, to one of them.
    /// </summary>
    /// <param name="action">Warmed up; it may run several times.</param>
    public static long Of(Action action)
    {
        long least = long.MaxValue;
        for (int i = 0; i < 5; i++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            action();
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        return least;
    }
}
