using ILGPU;

namespace PureQLora.Kernels.Tests.Simulation;

/// <summary>Kernels with one planted fault each, of groups of 64 threads.</summary>
internal static class FaultyKernels
{
    public static void ReadsPastTheEnd(ArrayView<float> x, ArrayView<float> y) => y[Group.IdxX] = x[Group.IdxX + 1];

    public static void WritesBeforeTheStart(ArrayView<float> x) => x[Group.IdxX - 1] = 1f;

    public static void LeavesSharedMemory(ArrayView<float> y)
    {
        ArrayView<float> shared = SharedMemory.Allocate<float>(63);
        shared[Group.IdxX] = 1f;
        y[Group.IdxX] = 1f;
    }

    public static void LeavesASubView(ArrayView<float> x, ArrayView<float> y)
    {
        ArrayView<float> row = x.SubView(8, 16);
        y[Group.IdxX] = row[Group.IdxX == 5 ? 16 : 0];
    }

    public static void TakesTooLargeASubView(ArrayView<float> x, ArrayView<float> y) => y[Group.IdxX] = x.SubView(60, 5)[0];

    public static void Reads(ArrayView<float> x, ArrayView<float> y) => y[Group.IdxX] = x[Group.IdxX];

    public static void ReadsItsNeighbour(ArrayView<int> y)
    {
        ArrayView<int> shared = SharedMemory.Allocate<int>(64);
        shared[Group.IdxX] = Group.IdxX;
        y[Group.IdxX] = shared[Group.IdxX ^ 1];
    }

    public static void ReusesATileTooSoon(ArrayView<int> y)
    {
        ArrayView<int> shared = SharedMemory.Allocate<int>(64);
        int sum = 0;
        for (int i = 0; i < 2; i++)
        {
            shared[Group.IdxX] = i;
            Group.Barrier();
            sum += shared[(Group.IdxX + 32) % 64];
        }

        y[Group.IdxX] = sum;
    }

    public static void TrustsAWarpBarrierWithAnotherWarp(ArrayView<int> y)
    {
        ArrayView<int> shared = SharedMemory.Allocate<int>(64);
        shared[Group.IdxX] = Group.IdxX;
        Warp.Barrier();
        y[Group.IdxX] = shared[(Group.IdxX + 32) % 64];
    }

    public static void TrustsAShuffle(ArrayView<int> y)
    {
        ArrayView<int> shared = SharedMemory.Allocate<int>(64);
        shared[Group.IdxX] = Group.IdxX;
        int other = Warp.ShuffleXor(Group.IdxX, 1);
        y[Group.IdxX] = shared[other];
    }

    public static void AllWriteTheFirst(ArrayView<int> y) => y[0] = Group.IdxX;

    public static void GroupsWriteTheFirst(ArrayView<int> y)
    {
        if (Group.IsFirstThread)
        {
            y[0] = Grid.IdxX;
        }
    }

    public static void GroupsReadWhatOthersWrote(ArrayView<int> y)
    {
        if (Group.IsFirstThread)
        {
            y[Grid.IdxX] += y[(Grid.IdxX + 1) % Grid.DimX];
        }
    }

    public static void ReadsACounterThatOthersUpdate(ArrayView<int> counter, ArrayView<int> y)
    {
        counter.AtomicAdd(0, 1);
        y[Group.IdxX] = counter[0];
    }

    public static void LeavesBeforeTheBarrier(ArrayView<int> y)
    {
        if (Group.IdxX >= 40)
        {
            return;
        }

        Group.Barrier();
        y[Group.IdxX] = 1;
    }

    public static void WaitsAtTwoBarriers(ArrayView<int> y)
    {
        if (Group.IdxX < 10)
        {
            Group.Barrier();
        }
        else
        {
            Group.Barrier();
        }

        y[Group.IdxX] = 1;
    }

    public static void ShufflesInABranch(ArrayView<int> y)
    {
        int value = Group.IdxX;
        if (Warp.LaneIdx < 5)
        {
            value = Warp.Shuffle(value, 0);
        }

        y[Group.IdxX] = value;
    }

    public static void WaitsForTheWarpInABranch(ArrayView<int> y)
    {
        if (Warp.LaneIdx < 5)
        {
            Warp.Barrier();
        }

        Group.Barrier();
        y[Group.IdxX] = 1;
    }

    public static void ReadsUnwrittenSharedMemory(ArrayView<int> y)
    {
        ArrayView<int> shared = SharedMemory.Allocate<int>(65);
        shared[Group.IdxX] = 1;
        Group.Barrier();
        y[Group.IdxX] = shared[Group.IdxX + 1];
    }

    public static void ReadsUnwrittenLocalMemory(ArrayView<int> y) => y[Group.IdxX] = LocalMemory.Allocate<int>(2)[1];

    public static void DoesNotWaitForItsCopy(ArrayView<int> x, ArrayView<int> y)
    {
        ArrayView<int> shared = SharedMemory.Allocate<int>(64);
        AsyncCopy.Issue(shared, Group.IdxX, x, Group.IdxX);
        AsyncCopy.Commit();
        AsyncCopy.Wait(1);
        y[Group.IdxX] = shared[Group.IdxX];
    }

    public static void WaitsForItsCopyWithoutABarrier(ArrayView<int> x, ArrayView<int> y)
    {
        ArrayView<int> shared = SharedMemory.Allocate<int>(64);
        AsyncCopy.Issue(shared, Group.IdxX, x, Group.IdxX);
        AsyncCopy.Commit();
        AsyncCopy.Wait(0);
        y[Group.IdxX] = shared[Group.IdxX ^ 1];
    }

    public static void CopiesOverWhatOthersRead(ArrayView<int> x, ArrayView<int> y)
    {
        ArrayView<int> shared = SharedMemory.Allocate<int>(64);
        shared[Group.IdxX] = 1;
        Group.Barrier();
        y[Group.IdxX] = shared[Group.IdxX ^ 1];
        AsyncCopy.Issue(shared, Group.IdxX, x, Group.IdxX);
        AsyncCopy.Commit();
        Group.Barrier();
        AsyncCopy.Wait(0);
    }

    public static void ReadsAQuadFromAnOddPlace(ArrayView<float> x, ArrayView<float> y)
    {
        Quad quad = x.SubView(1).Cast<Quad>()[Group.IdxX % 4];
        y[Group.IdxX] = quad.X;
    }

    public static void Divides(ArrayView<int> x) => x[Group.IdxX] = 1 / x[0];

    public static void WantsTooMuchSharedMemory()
    {
        SharedMemory.Allocate<byte>(40 * 1024);
        SharedMemory.Allocate<byte>(10 * 1024);
    }

    public static void DisagreesOnSharedMemory() => SharedMemory.Allocate<int>(Group.IdxX < 3 ? 8 : 9);
}
