using ILGPU;
using PureQLora.Kernels.Simulation;
using PureQLora.Kernels.Simulation.Coroutines;

namespace PureQLora.Kernels.Tests.Simulation;

/// <summary>A kernel that has become a coroutine computes the same as one on threads of the system.</summary>
public sealed class CoroutineTests
{
    [Fact]
    public void Expressions_GivenWaitsBetweenOperands_ShouldKeepTheOthers() =>
        CheckSame<double>((accelerator, y) => accelerator.Launch(Followed(WindingKernels.Expressions, y), new KernelConfig(1, 32), y));

    [Fact]
    public void References_GivenFunctionsThatWait_ShouldStayValid() =>
        CheckSame<float>((accelerator, y) => accelerator.Launch(Followed(WindingKernels.References, y), new KernelConfig(1, 32), y));

    [Fact]
    public void Functors_GivenMethodsThatWait_ShouldBeFollowed()
    {
        CheckSame<float>((accelerator, y) =>
        {
            WindingKernels.FunctorArguments<WindingKernels.AddNeighbour> arguments = new(y, new WindingKernels.AddNeighbour(0.5f));
            accelerator.Launch(Followed(WindingKernels.Functors, arguments), new KernelConfig(1, 32), arguments);
        });
        CheckSame<float>((accelerator, y) =>
        {
            WindingKernels.FunctorArguments<WindingKernels.Negate> arguments = new(y, default);
            accelerator.Launch(Followed(WindingKernels.Functors, arguments), new KernelConfig(1, 32), arguments);
        });
    }

    [Fact]
    public void Variables_GivenASecondCall_ShouldBeginWithZero()
    {
        using SimulatedAccelerator accelerator = new();
        SimulatedBuffer<int> y = accelerator.Allocate<int>(32);

        accelerator.Launch(Followed(WindingKernels.Leftovers, y.View), new KernelConfig(1, 32), y.View);

        Assert.All(y.ToArray(), value => Assert.Equal(1, value));
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(1, 29)]
    [InlineData(2, 3)]
    [InlineData(3, -1)]
    public void Branches_GivenEveryWay_ShouldEndAtTheSamePlace(int mode, int expected)
    {
        using SimulatedAccelerator accelerator = new();
        SimulatedBuffer<int> y = accelerator.Allocate<int>(32);

        LaunchReport report = accelerator.Launch(WindingKernels.Branches, new KernelConfig(1, 32), y.View, mode);

        Assert.Null(report.WhySystemThreads);
        Assert.All(y.ToArray(), value => Assert.Equal(expected, value));
    }

    [Fact]
    public void Exchange_GivenASpanOfAllLanes_ShouldKeepItUntilTheNextMeeting()
    {
        using SimulatedAccelerator accelerator = new();
        SimulatedBuffer<float> y = accelerator.Allocate<float>(32);

        LaunchReport report = accelerator.Launch(Followed(WindingKernels.Exchange, y.View), new KernelConfig(1, 32), y.View);

        Assert.All(y.ToArray(), value => Assert.Equal(Enumerable.Range(0, 32).Sum(i => 2f * i * (i + 1)) + 1, value));
        Assert.Equal(2, report.Shuffles);
    }

    [Fact]
    public void Delegate_GivenAWaitInIt_ShouldSayWhatToDo()
    {
        using SimulatedAccelerator accelerator = new();
        ArrayView<int> y = accelerator.Allocate<int>(32).View;

        KernelFaultException exception = Assert.Throws<KernelFaultException>(() => accelerator.Launch(WindingKernels.Delegates, new KernelConfig(1, 32), y));

        Assert.Contains("UseSystemThreads", exception.Message, StringComparison.Ordinal);
        using SimulatedAccelerator withThreads = new(new SimulationOptions { UseSystemThreads = true });
        withThreads.Launch(WindingKernels.Delegates, new KernelConfig(1, 32), withThreads.Allocate<int>(32).View);
    }

    [Fact]
    public void TryBlock_GivenAWaitInIt_ShouldRunOnThreadsOfTheSystem()
    {
        using SimulatedAccelerator accelerator = new();
        SimulatedBuffer<int> y = accelerator.Allocate<int>(32);

        LaunchReport report = accelerator.Launch(WindingKernels.Tries, new KernelConfig(1, 32), y.View);

        Assert.Equal("Tries has a try block.", report.WhySystemThreads);
        Assert.All(y.ToArray(), value => Assert.Equal(1, value));
    }

    private static Action<T> Followed<T>(Action<T> kernel, T arguments)
    {
        Assert.NotNull(CoroutineProgram.Create(kernel, [arguments!], out _));
        return kernel;
    }

    private static void CheckSame<T>(Action<SimulatedAccelerator, ArrayView<T>> launch)
        where T : unmanaged
    {
        T[] asCoroutine = Run(useSystemThreads: false);

        Assert.Equal(Run(useSystemThreads: true), asCoroutine);
        Assert.NotEqual(new T[32], asCoroutine);

        T[] Run(bool useSystemThreads)
        {
            using SimulatedAccelerator accelerator = new(new SimulationOptions { UseSystemThreads = useSystemThreads });
            SimulatedBuffer<T> y = accelerator.Allocate<T>(32);
            launch(accelerator, y.View);
            return y.ToArray();
        }
    }
}
