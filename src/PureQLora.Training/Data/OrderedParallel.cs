using System.Runtime.ExceptionServices;

namespace PureQLora.Training;

/// <summary>Maps a sequence on several threads; results and errors come in the order of the sequence, whatever the number of threads.</summary>
internal static class OrderedParallel
{
    /// <summary>Items that are read ahead; what is held in memory does not grow with the sequence.</summary>
    private const int Block = 2048;

    /// <summary>Maps every item.</summary>
    /// <typeparam name="T">What comes in.</typeparam>
    /// <typeparam name="TResult">What comes out.</typeparam>
    /// <param name="items">The sequence, read on the calling thread.</param>
    /// <param name="threads">Threads that work at once; 0 takes one a processor.</param>
    /// <param name="map">Called once an item, from any thread. The exception of the first item that fails, in order, is thrown as it is.</param>
    public static IEnumerable<TResult> Map<T, TResult>(IEnumerable<T> items, int threads, Func<T, TResult> map)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(threads);
        ParallelOptions options = new() { MaxDegreeOfParallelism = threads == 0 ? Environment.ProcessorCount : threads };
        foreach (T[] block in items.Chunk(Block))
        {
            TResult[] results = new TResult[block.Length];
            ExceptionDispatchInfo?[] failures = new ExceptionDispatchInfo?[block.Length];
            Parallel.For(0, block.Length, options, index =>
            {
                try
                {
                    results[index] = map(block[index]);
                }
                catch (Exception exception)
                {
                    failures[index] = ExceptionDispatchInfo.Capture(exception);
                }
            });
            for (int index = 0; index < block.Length; index++)
            {
                failures[index]?.Throw();
                yield return results[index];
            }
        }
    }
}
