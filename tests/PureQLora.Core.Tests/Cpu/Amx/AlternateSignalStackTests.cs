using System.Runtime.CompilerServices;

namespace PureQLora.Core.Tests;

/// <summary>A thread with the enlarged stack for signal handlers stays an ordinary thread of .NET.</summary>
public sealed class AlternateSignalStackTests
{
    [Fact]
    public void Thread_GivenEnlargedSignalStack_ShouldStillCatchNullReferences()
    {
        SkipUnlessLinux();
        int caught = 0;
        (long before, long during, long after) = (0, 0, 0);
        OnThread(() =>
        {
            before = AlternateSignalStack.CurrentSize;
            using (new AlternateSignalStack())
            {
                during = AlternateSignalStack.CurrentSize;
                for (int i = 0; i < 1000; i++)
                {
                    caught += CatchNullReference(null);
                }
            }

            after = AlternateSignalStack.CurrentSize;
            caught += CatchNullReference(null);
        });
        Assert.Equal(1001, caught);
        Assert.Equal(AlternateSignalStack.Size, during);
        Assert.Equal(before, after);
        Assert.True(before < during, $"The thread had {before} bytes before.");
    }

    [Fact]
    public void Threads_GivenEnlargedSignalStacksAtOnceAndInTurn_ShouldEndAndFreeThem()
    {
        SkipUnlessLinux();
        int caught = 0;
        for (int round = 0; round < 20; round++)
        {
            Thread[] threads = [.. Enumerable.Range(0, 4).Select(_ => new Thread(() =>
            {
                using AlternateSignalStack stack = new();
                GC.Collect(0);
                Interlocked.Add(ref caught, CatchNullReference(null));
            }))];
            Array.ForEach(threads, thread => thread.Start());
            Array.ForEach(threads, thread => thread.Join());
        }

        Assert.Equal(80, caught);

        // One mapping of each would stay behind if they were not freed; those of the runtime are 16 KiB.
        long stacks = File.ReadLines("/proc/self/maps").Count(IsSignalStack);
        Assert.True(stacks < 40, $"{stacks} mappings of {AlternateSignalStack.Size} bytes are left.");
    }

    private static bool IsSignalStack(string mapping)
    {
        string[] ends = mapping[..mapping.IndexOf(' ', StringComparison.Ordinal)].Split('-');
        return Convert.ToInt64(ends[1], 16) - Convert.ToInt64(ends[0], 16) == AlternateSignalStack.Size;
    }

    /// <summary>1 if the processor's fault arrives as an exception.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static int CatchNullReference(string? text)
    {
        try
        {
            return text!.Length < 0 ? 2 : 0;
        }
        catch (NullReferenceException)
        {
            return 1;
        }
    }

    private static void SkipUnlessLinux() => Assert.SkipUnless(OperatingSystem.IsLinux(), "Only Linux has these stacks.");

    private static void OnThread(ThreadStart work)
    {
        Thread thread = new(work);
        thread.Start();
        thread.Join();
    }
}
