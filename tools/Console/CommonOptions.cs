using System.CommandLine;
using PureQLora.Core;

namespace PureQLora.Tools;

/// <summary>Options that mean the same in every tool.</summary>
public static class CommonOptions
{
    /// <summary><c>--model</c>, required.</summary>
    public static Option<string> Model() => new("--model") { Description = "Folder with config.json, weights and tokenizer.", Required = true };

    /// <summary><c>--adapter</c></summary>
    public static Option<string?> Adapter() => new("--adapter") { Description = "PEFT folder with adapter_config.json and adapter_model.safetensors." };

    /// <summary><c>--output</c>, a folder that must be empty or absent.</summary>
    public static Option<string> OutputFolder() => new("--output") { Description = "Folder to write; it must be empty or absent.", Required = true };

    /// <summary><c>--threads</c></summary>
    public static Option<int> Threads() => new("--threads")
    {
        Description = "Threads that compute; 0 takes one a processor. Results do not depend on it.",
        DefaultValueFactory = _ => 0,
    };

    /// <summary><c>--precision</c></summary>
    public static Option<Precision> PrecisionOption() => new("--precision")
    {
        Description = "Rounding of the operands of matrix products: float32 or bfloat16; sums are float32.",
        DefaultValueFactory = _ => Precision.Float32,
    };

    /// <summary><c>--device</c></summary>
    public static Option<string> Device() => new("--device")
    {
        Description = "auto, cpu or cuda.",
        DefaultValueFactory = _ => "auto",
    };

    /// <summary>Starts the backend that was asked for; never another one in silence.</summary>
    /// <exception cref="UserErrorException">The device is unknown or not available.</exception>
    public static CpuBackend CreateBackend(string device, int threads)
    {
        if (threads is < 0 or > 1024)
        {
            throw new UserErrorException($"--threads is {threads}, allowed 0 (one a processor) to 1024.");
        }

        return device switch
        {
            "auto" or "cpu" => new CpuBackend(threads),
            "cuda" => throw new UserErrorException("--device cuda is not available in this version, which computes on the CPU; use --device cpu."),
            _ => throw new UserErrorException($"--device is {device}, allowed auto, cpu and cuda."),
        };
    }

    /// <summary>Refuses an output folder that holds something.</summary>
    /// <exception cref="UserErrorException">It is a file, or not empty.</exception>
    public static void RequireEmpty(string folder)
    {
        if (File.Exists(folder))
        {
            throw new UserErrorException($"{folder} is a file; name a folder that is empty or absent.");
        }

        if (Directory.Exists(folder) && Directory.EnumerateFileSystemEntries(folder).Any())
        {
            throw new UserErrorException($"The output folder {folder} is not empty; name another one, or delete it first.");
        }
    }
}
