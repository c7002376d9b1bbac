using System.CommandLine;
using System.Globalization;
using BenchmarkDotNet.Columns;
using BenchmarkDotNet.Configs;
using BenchmarkDotNet.Jobs;
using BenchmarkDotNet.Loggers;
using BenchmarkDotNet.Reports;
using BenchmarkDotNet.Running;
using BenchmarkDotNet.Toolchains.InProcess.Emit;
using Perfolizer.Horology;
using PureQLora.Core;

namespace PureQLora.Tools.Bench;

/// <summary><c>bench kernels</c>: every operation, forward and with backward.</summary>
internal static class KernelsCommand
{
    public static Command Create()
    {
        Option<string?> filter = new("--filter") { Description = "Only operations whose name contains this." };
        Option<bool> quick = new("--quick") { Description = "Three short measurements of each instead of ten." };
        Option<bool> gemm = new("--gemm") { Description = "Matrix products alone, dense and 4-bit, beside OpenBLAS, oneDNN and PyTorch." };
        Option<string> python = BenchOptions.Python();
        Option<bool> noPeers = BenchOptions.NoPeers();
        Option<int> threads = CommonOptions.Threads();
        Command command = new("kernels", "Measures every operation at the shapes of TinyLlama and of the embedded model.") { filter, quick, gemm, python, noPeers, threads };
        command.SetAction(result => result.GetValue(gemm)
            ? CompareProducts(result.GetValue(noPeers) ? null : result.GetValue(python), BenchOptions.ThreadCount(result.GetValue(threads)), result.GetValue(quick))
            : Run(result.GetValue(filter) ?? "", result.GetValue(quick)));
        return command;
    }

    /// <summary>The benchmarks whose name contains the text.</summary>
    internal static IReadOnlyList<Type> Select(string filter)
    {
        Type[] all = [.. typeof(OperationBenchmark).Assembly.GetTypes()
            .Where(type => type.IsSubclassOf(typeof(OperationBenchmark))).OrderBy(type => type.Name, StringComparer.Ordinal)];
        Type[] chosen = [.. all.Where(type => Name(type).Contains(filter, StringComparison.OrdinalIgnoreCase))];
        return chosen.Length > 0
            ? chosen
            : throw new UserErrorException($"--filter {filter} matches no operation; there are {string.Join(", ", all.Select(Name))}.");
    }

    private static int CompareProducts(string? python, int threads, bool quick)
    {
        MachineLimits limits = MachineLimits.Measure(threads, quick);
        limits.Print();
        using CpuBackend backend = new(threads);
        new GemmComparison(backend, limits, python, quick).Run();
        return ToolProgram.Success;
    }

    private static int Run(string filter, bool quick)
    {
        IReadOnlyList<Type> types = Select(filter);
        double peak = FmaPeak.Measure(Environment.ProcessorCount, bursts: 1000);
        Report.Line($"FMA peak, float32, {Environment.ProcessorCount} threads: {peak / 1e9:F1} GFLOP/s; {CpuBackend.SupportedTier}; shares below are of this");
        Report.Line($"{"operation",-18}{"shapes",-11}{"case",-16}{"pass",-17}{"best",11}{"median",11}{"GFLOP/s",10}{"of peak",9}");
        ManualConfig config = Config(quick);
        bool complete = true;
        foreach (Type type in types)
        {
            ToolProgram.Cancellation.ThrowIfCancellationRequested();
            Summary summary = BenchmarkRunner.Run(type, config);
            complete &= !summary.HasCriticalValidationErrors && summary.Reports.All(report => report.ResultStatistics is not null);
            foreach (BenchmarkReport report in summary.Reports)
            {
                Show(type, report, peak);
            }
        }

        if (!complete)
        {
            System.Console.Error.WriteLine($"Some benchmarks gave no result; their logs are in {config.ArtifactsPath}.");
        }

        return complete ? ToolProgram.Success : ToolProgram.Failure;
    }

    private static ManualConfig Config(bool quick) => ManualConfig.CreateEmpty()
        .AddJob(Job.Default
            .WithToolchain(InProcessEmitToolchain.Instance)
            .WithWarmupCount(quick ? 1 : 3)
            .WithIterationCount(quick ? 3 : 10)
            .WithIterationTime(TimeInterval.FromMilliseconds(quick ? 50 : 250))
            .WithMinInvokeCount(1)
            .WithUnrollFactor(1))
        .AddLogger(NullLogger.Instance)
        .AddColumnProvider(DefaultColumnProviders.Instance)
        .WithArtifactsPath(Path.Combine(AppContext.BaseDirectory, "artifacts"))
        .WithOptions(ConfigOptions.DisableOptimizationsValidator);

    private static void Show(Type type, BenchmarkReport report, double peak)
    {
        if (report.ResultStatistics is not { } statistics)
        {
            return;
        }

        BenchmarkCase benchmark = report.BenchmarkCase;
        string pass = benchmark.Descriptor.WorkloadMethod.Name;
        using OperationBenchmark operation = (OperationBenchmark)Activator.CreateInstance(type)!;
        List<string> rest = [];
        foreach (var parameter in benchmark.Parameters.Items)
        {
            type.GetProperty(parameter.Name)!.SetValue(operation, parameter.Value);
            if (parameter.Name != nameof(OperationBenchmark.Size))
            {
                rest.Add(parameter.Value is bool flag ? (flag ? "" : "no ") + parameter.Name : $"{parameter.Value}");
            }
        }

        (double forward, double backward) = operation.Flops;
        double flops = pass == nameof(OperationBenchmark.Forward) ? forward : forward + backward;
        double rate = flops / (statistics.Min * 1e-9);
        string share = flops == 0 ? "" : string.Create(CultureInfo.InvariantCulture, $"{rate / 1e9,10:F1}{rate / peak,9:P0}");
        Report.Line($"{Name(type),-18}{operation.Size,-11}{string.Join(' ', rest),-16}{pass,-17}{statistics.Min / 1e3,8:F1} µs{statistics.Median / 1e3,8:F1} µs{share}");
    }

    private static string Name(Type type) => type.Name[..^"Benchmark".Length];
}
