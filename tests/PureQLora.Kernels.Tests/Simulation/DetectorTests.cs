using ILGPU;
using PureQLora.Kernels.Simulation;

namespace PureQLora.Kernels.Tests.Simulation;

/// <summary>Every detector finds the fault that was planted for it, and says where.</summary>
public sealed class DetectorTests : IDisposable
{
    private readonly SimulatedAccelerator _accelerator = new();

    public void Dispose() => _accelerator.Dispose();

    [Fact]
    public void Bounds_GivenAReadPastTheEnd_ShouldBeFound()
    {
        KernelFault fault = Single(Run(FaultyKernels.ReadsPastTheEnd, Floats(), New<float>()), FaultKind.OutOfBounds);

        Assert.Equal(new Index3D(63, 0, 0), fault.Thread);
        Assert.Equal("FaultyKernels.ReadsPastTheEnd", fault.Kernel);
        Assert.StartsWith("FaultyKernels.cs:", fault.Location, StringComparison.Ordinal);
        Assert.Contains("reads element 64 of a view of 64 Single from byte 0 of global buffer 0", fault.Message, StringComparison.Ordinal);
        Assert.Equal(1, fault.Occurrences);
    }

    [Fact]
    public void Bounds_GivenAWriteBeforeTheStart_ShouldBeFound()
    {
        KernelFault fault = Single(Run(FaultyKernels.WritesBeforeTheStart, Floats()), FaultKind.OutOfBounds);

        Assert.Contains("group (0, 0, 0) thread (0, 0, 0) writes element -1", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Bounds_GivenSharedMemory_ShouldBeFound()
    {
        KernelFault fault = Single(Run(FaultyKernels.LeavesSharedMemory, New<float>()), FaultKind.OutOfBounds);

        Assert.Contains("shared Single[63] of FaultyKernels.cs:", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Bounds_GivenASubView_ShouldBeThoseOfTheSubView()
    {
        KernelFault fault = Single(Run(FaultyKernels.LeavesASubView, Floats(), New<float>()), FaultKind.OutOfBounds);

        Assert.Contains("thread (5, 0, 0) reads element 16 of a view of 16 Single from byte 32", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Bounds_GivenASubViewThatIsTooLarge_ShouldBeFoundWhereItIsTaken()
    {
        KernelFault fault = Single(Run(FaultyKernels.TakesTooLargeASubView, Floats(), New<float>()), FaultKind.OutOfBounds);

        Assert.Contains("SubView of 5 elements from 60, but the view has 64", fault.Message, StringComparison.Ordinal);
        Assert.Equal(64, fault.Occurrences);
        Assert.Throws<ArgumentOutOfRangeException>(() => Floats().SubView(60, 5));
    }

    [Fact]
    public void Bounds_GivenMemoryThatWasGivenBack_ShouldBeFound()
    {
        SimulatedBuffer<float> buffer = _accelerator.Allocate(new float[64]);
        buffer.Dispose();

        KernelFault fault = Single(Run(FaultyKernels.Reads, buffer.View, New<float>()), FaultKind.OutOfBounds);

        Assert.Contains("given back", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Race_GivenSharedMemoryWithoutABarrier_ShouldBeFound()
    {
        KernelFault fault = Run(FaultyKernels.ReadsItsNeighbour, New<int>())[^1];

        Assert.Equal(FaultKind.Race, fault.Kind);
        Assert.Contains("thread (1, 0, 0) reads 4 bytes at byte 0 of shared Int32[64]", fault.Message, StringComparison.Ordinal);
        Assert.Contains("which thread (0, 0, 0) wrote at FaultyKernels.cs:", fault.Message, StringComparison.Ordinal);
        Assert.Equal(0, fault.ByteOffset);
    }

    [Fact]
    public void Race_GivenAWriteAfterAReadWithoutABarrier_ShouldBeFound()
    {
        KernelFault fault = Run(FaultyKernels.ReusesATileTooSoon, New<int>())[^1];

        Assert.Equal(FaultKind.Race, fault.Kind);
        Assert.Contains("writes 4 bytes", fault.Message, StringComparison.Ordinal);
        Assert.Contains("read at FaultyKernels.cs:", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Race_GivenOnlyAWarpBarrier_ShouldBeFoundBetweenWarps() =>
        Assert.Contains(Run(FaultyKernels.TrustsAWarpBarrierWithAnotherWarp, New<int>()), fault => fault.Kind == FaultKind.Race);

    [Fact]
    public void Race_GivenOnlyAShuffle_ShouldBeFoundWithinTheWarp() =>
        Assert.Contains(Run(FaultyKernels.TrustsAShuffle, New<int>()), fault => fault.Kind == FaultKind.Race);

    [Fact]
    public void Race_GivenOneElementOfGlobalMemory_ShouldBeFoundWithinAGroup()
    {
        KernelFault fault = Single(Run(FaultyKernels.AllWriteTheFirst, New<int>()), FaultKind.Race);

        Assert.Contains("thread (1, 0, 0) writes 4 bytes at byte 0 of global buffer 0 (Int32[64]), which thread (0, 0, 0) wrote", fault.Message, StringComparison.Ordinal);
        Assert.Equal(63, fault.Occurrences);
    }

    [Fact]
    public void Race_GivenOneElementOfGlobalMemory_ShouldBeFoundBetweenGroups()
    {
        KernelFault fault = Single(Run(FaultyKernels.GroupsWriteTheFirst, 3, New<int>()), FaultKind.Race);

        Assert.Contains("group (1, 0, 0) thread (0, 0, 0) writes", fault.Message, StringComparison.Ordinal);
        Assert.Contains("which group (0, 0, 0) thread (0, 0, 0) wrote", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Race_GivenAnotherLaunch_ShouldNotBeFoundAcrossLaunches()
    {
        ArrayView<int> y = _accelerator.Allocate(new int[1]).View;

        _accelerator.Launch(FaultyKernels.GroupsWriteTheFirst, new KernelConfig(1, 64), y);
        _accelerator.Launch(FaultyKernels.GroupsWriteTheFirst, new KernelConfig(1, 64), y);
    }

    [Fact]
    public void Race_GivenGroupsThatReadEachOthersElements_ShouldBeFound() =>
        Assert.Contains(
            Run(FaultyKernels.GroupsReadWhatOthersWrote, 4, _accelerator.Allocate(new int[4]).View),
            fault => fault.Kind == FaultKind.Race && fault.Message.Contains("nothing orders groups", StringComparison.Ordinal));

    [Fact]
    public void Race_GivenAPlainReadBesideAtomics_ShouldBeFound()
    {
        IReadOnlyList<KernelFault> faults = Run(FaultyKernels.ReadsACounterThatOthersUpdate, _accelerator.Allocate(new int[1]).View, New<int>());

        Assert.All(faults, fault => Assert.Equal(FaultKind.Race, fault.Kind));
        Assert.Contains(faults, fault => fault.Message.Contains("updated atomically at", StringComparison.Ordinal));
    }

    [Fact]
    public void Divergence_GivenThreadsThatLeft_ShouldBeReportedAndNotHang()
    {
        KernelFault fault = Single(Run(FaultyKernels.LeavesBeforeTheBarrier, New<int>()), FaultKind.DivergentBarrier);

        Assert.Contains("threads (0, 0, 0) to (39, 0, 0) waiting at Barrier (FaultyKernels.cs:", fault.Message, StringComparison.Ordinal);
        Assert.Contains("threads (40, 0, 0) to (63, 0, 0) gone", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Divergence_GivenTwoBarriers_ShouldBeReported()
    {
        KernelFault fault = Single(Run(FaultyKernels.WaitsAtTwoBarriers, New<int>()), FaultKind.DivergentBarrier);

        Assert.Contains("threads (10, 0, 0) to (63, 0, 0) waiting at Barrier", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Divergence_GivenAShuffleInABranch_ShouldBeReported()
    {
        KernelFault fault = Single(Run(FaultyKernels.ShufflesInABranch, New<int>()), FaultKind.DivergentShuffle);

        Assert.Contains("threads (0, 0, 0) to (4, 0, 0) waiting at Shuffle", fault.Message, StringComparison.Ordinal);
        Assert.Contains("threads (5, 0, 0) to (31, 0, 0) gone", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Divergence_GivenAWarpBarrierInABranch_ShouldBeReported()
    {
        KernelFault fault = Single(Run(FaultyKernels.WaitsForTheWarpInABranch, New<int>()), FaultKind.DivergentBarrier);

        Assert.Contains("threads (0, 0, 0) to (4, 0, 0) waiting at WarpBarrier", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Divergence_GivenAFaultyLaunch_ShouldLeaveTheAcceleratorUsable()
    {
        Run(FaultyKernels.LeavesBeforeTheBarrier, New<int>());
        SimulatedBuffer<float> sums = _accelerator.Allocate<float>(1);

        _accelerator.Launch(SoundKernels.Sum, new KernelConfig(1, 64), _accelerator.Allocate([.. Enumerable.Repeat(1f, 64)]).View, sums.View);

        Assert.Equal([64f], sums.ToArray());
    }

    [Fact]
    public void Uninitialised_GivenSharedMemory_ShouldBeFoundInEveryGroup()
    {
        IReadOnlyList<KernelFault> faults = Run(FaultyKernels.ReadsUnwrittenSharedMemory, 2, _accelerator.Allocate<int>(64).View);

        KernelFault fault = faults.Single(fault => fault.Kind == FaultKind.Uninitialised);
        Assert.Contains("thread (63, 0, 0) reads 4 bytes at byte 256 of shared Int32[65]", fault.Message, StringComparison.Ordinal);
        Assert.Equal(2, fault.Occurrences);
    }

    [Fact]
    public void Uninitialised_GivenGlobalMemory_ShouldBeFound()
    {
        KernelFault fault = Single(Run(FaultyKernels.Reads, New<float>(), New<float>()), FaultKind.Uninitialised);

        Assert.Contains("which nobody has written", fault.Message, StringComparison.Ordinal);
        Assert.Equal(64, fault.Occurrences);
    }

    [Fact]
    public void Uninitialised_GivenMemoryThatTheHostForgot_ShouldBeFound()
    {
        SimulatedBuffer<float> buffer = _accelerator.Allocate(new float[64]);
        buffer.Forget(10, 3);

        KernelFault fault = Single(Run(FaultyKernels.Reads, buffer.View, New<float>()), FaultKind.Uninitialised);

        Assert.Equal(new Index3D(10, 0, 0), fault.Thread);
        Assert.Equal(3, fault.Occurrences);
    }

    [Fact]
    public void Uninitialised_GivenLocalMemory_ShouldBeFound() =>
        Assert.Contains("local Int32[2]", Single(Run(FaultyKernels.ReadsUnwrittenLocalMemory, New<int>()), FaultKind.Uninitialised).Message, StringComparison.Ordinal);

    [Fact]
    public void AsyncCopy_GivenNoWait_ShouldBeFound()
    {
        KernelFault fault = Single(Run(FaultyKernels.DoesNotWaitForItsCopy, Ints(), New<int>()), FaultKind.Uninitialised);

        Assert.Contains("asynchronous copy to which has not been waited for", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void AsyncCopy_GivenAWaitWithoutABarrier_ShouldRaceWithOtherThreads() =>
        Assert.Contains(Run(FaultyKernels.WaitsForItsCopyWithoutABarrier, Ints(), New<int>()), fault => fault.Kind == FaultKind.Race);

    [Fact]
    public void AsyncCopy_GivenThreadsThatStillRead_ShouldRaceWithThemWhenItIsIssued()
    {
        KernelFault fault = Run(FaultyKernels.CopiesOverWhatOthersRead, Ints(), New<int>())[^1];

        Assert.Equal(FaultKind.Race, fault.Kind);
        Assert.Contains("starts an asynchronous copy to", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Alignment_GivenAVectorAtAnOddPlace_ShouldBeFound()
    {
        KernelFault fault = Single(Run(FaultyKernels.ReadsAQuadFromAnOddPlace, Floats(), New<float>()), FaultKind.Misaligned);

        Assert.Contains("reads 16 bytes (Quad) at byte 4 of global buffer 0", fault.Message, StringComparison.Ordinal);
        Assert.Contains("no multiple of 16", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Exception_GivenAKernelThatThrows_ShouldNameTheThread()
    {
        KernelFault fault = Single(Run(FaultyKernels.Divides, Ints()), FaultKind.Exception);

        Assert.Contains("thread (0, 0, 0) throws DivideByZeroException", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void SharedMemory_GivenTooMuch_ShouldBeRefused() =>
        Assert.Contains("51200 bytes exceed the 49152", Single(Run(FaultyKernels.WantsTooMuchSharedMemory), FaultKind.Exception).Message, StringComparison.Ordinal);

    [Fact]
    public void SharedMemory_GivenThreadsThatDisagree_ShouldBeRefused() =>
        Assert.Contains("32 and 36 bytes", Single(Run(FaultyKernels.DisagreesOnSharedMemory), FaultKind.Exception).Message, StringComparison.Ordinal);

    [Fact]
    public void Faults_GivenMoreThanTheLimit_ShouldBeBounded()
    {
        using SimulatedAccelerator accelerator = new(new SimulationOptions { MaxFaults = 1 });
        ArrayView<int> y = accelerator.Allocate<int>(64).View;

        KernelFaultException exception = Assert.Throws<KernelFaultException>(
            () => accelerator.Launch(FaultyKernels.ReadsACounterThatOthersUpdate, new KernelConfig(1, 64), y, y));

        Assert.Single(exception.Faults);
        Assert.Equal(exception.Faults[0].ToString(), exception.Message);
    }

    private static KernelFault Single(IReadOnlyList<KernelFault> faults, FaultKind kind)
    {
        KernelFault fault = Assert.Single(faults);
        Assert.Equal(kind, fault.Kind);
        return fault;
    }

    private ArrayView<float> Floats() => _accelerator.Allocate(new float[64]).View;

    private ArrayView<int> Ints() => _accelerator.Allocate(new int[64]).View;

    private ArrayView<T> New<T>()
        where T : unmanaged => _accelerator.Allocate<T>(64).View;

    private IReadOnlyList<KernelFault> Run(Action kernel) => Faults(1, kernel);

    private IReadOnlyList<KernelFault> Run<T>(Action<T> kernel, T argument) => Faults(1, kernel, argument!);

    private IReadOnlyList<KernelFault> Run<T>(Action<T> kernel, int groups, T argument) => Faults(groups, kernel, argument!);

    private IReadOnlyList<KernelFault> Run<TFirst, TSecond>(Action<TFirst, TSecond> kernel, TFirst first, TSecond second) => Faults(1, kernel, first!, second!);

    private IReadOnlyList<KernelFault> Faults(int groups, Delegate kernel, params object[] arguments) =>
        Assert.Throws<KernelFaultException>(() => _accelerator.Launch(kernel, new KernelConfig(groups, 64), arguments)).Faults;
}
