using System.CommandLine;
using PureQLora.Core;

namespace PureQLora.Tools.Bench;

/// <summary>Options that mean the same in several commands.</summary>
internal static class BenchOptions
{
    public static Option<string> Shape() => new("--shape")
    {
        Description = "Dimensions of the model, whose weights are random: tiny, smollm2-135m, smollm2-360m, tinyllama, llama3.2-1b or llama2-7b.",
        DefaultValueFactory = _ => "tinyllama",
    };

    public static Option<int> GroupSize() => new("--group-size")
    {
        Description = "Weights that share a scale; -1 for one group a row.",
        DefaultValueFactory = _ => 128,
    };

    public static Option<bool> Quick() => new("--quick") { Description = "Few short measurements, to see that everything runs." };

    public static Option<bool> NoPeers() => new("--no-peers") { Description = "Measure this engine alone." };

    public static Option<string?> LlamaCpp() => new Option<string?>("--llama-cpp")
    {
        Description = $"Folder whose node_modules has node-llama-cpp and its CPU library; else {Bench.LlamaCpp.FolderVariable} names it.",
    }.NotEmpty();

    public static Option<string> Python() => new Option<string>("--python")
    {
        Description = "Python that has torch.",
        DefaultValueFactory = _ => "python3",
    }.NotEmpty();

    /// <summary>Refuses a group that is none.</summary>
    /// <exception cref="UserErrorException">It is 0 or below −1.</exception>
    public static int RequireGroupSize(int groupSize) => groupSize is -1 or >= 1
        ? groupSize
        : throw new UserErrorException($"--group-size is {groupSize}, allowed -1 (one group a row) and numbers from 1; 128 is usual.");

    /// <summary>Threads as asked for, or all.</summary>
    /// <exception cref="UserErrorException">Out of range.</exception>
    public static int ThreadCount(int threads) => threads switch
    {
        0 => Environment.ProcessorCount,
        < 0 or > 1024 => throw new UserErrorException($"--threads is {threads}, allowed 0 (one a processor) to 1024."),
        _ => threads,
    };

    /// <summary>Refuses a number outside its range.</summary>
    /// <exception cref="UserErrorException">It is outside.</exception>
    public static int Require(string option, int value, int least, int most) => value >= least && value <= most
        ? value
        : throw new UserErrorException($"{option} is {value}, allowed {least} to {most}.");

    /// <summary>Numbers of a list such as <c>1,16</c>.</summary>
    /// <exception cref="UserErrorException">One is none, or outside its range.</exception>
    public static int[] Numbers(string option, string text, int least, int most) =>
    [
        .. text.Split(',').Select(part => int.TryParse(part, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out int number)
            ? Require(option, number, least, most)
            : throw new UserErrorException($"{option} is {text}, allowed are numbers from {least} to {most} with commas between.")),
    ];
}
