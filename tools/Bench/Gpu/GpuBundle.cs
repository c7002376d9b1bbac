using System.Formats.Tar;
using System.IO.Compression;
using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using PureQLora.Core;

namespace PureQLora.Tools.Bench;

/// <summary>
/// Everything that the benchmark needs on a machine with a GPU's driver and nothing else: this program, the tests of the kernels with their
/// fixtures, and the .NET runtime that it runs on.
/// </summary>
internal static class GpuBundle
{
    /// <summary>Largest archive, in bytes.</summary>
    public const long Limit = 64L << 20;

    private const string Marker = "PureQLora.sln";

    /// <summary>What the other commands measure with; the largest part of them.</summary>
    private const string LeftOut = "BenchmarkDotNet";

    private const UnixFileMode Executable =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupRead | UnixFileMode.GroupExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute;

    private const string Script = """
        #!/bin/sh
        # Tests and measures on this machine's NVIDIA GPU; needs nothing but the driver. Options: ./run --help
        here=$(cd "$(dirname "$0")" && pwd)
        exec "$here/dotnet/dotnet" "$here/bench/Bench.dll" gpu "$@"
        """;

    /// <summary>The folder of the runtime that this process runs on.</summary>
    public static string RuntimeFolder => Path.GetDirectoryName(typeof(object).Assembly.Location)!;

    /// <summary>Writes folder and archive.</summary>
    /// <exception cref="UserErrorException">The tests are not built, or the folder is not empty.</exception>
    public static int Write(string folder)
    {
        string tests = GpuTestPart.Program ?? throw new UserErrorException(
            $"The tests of the kernels are not built; run dotnet build tests/{GpuTestPart.Project} first, in the configuration of this program.");
        if (!File.Exists(Path.Combine(AppContext.BaseDirectory, "ILGPU.dll")))
        {
            throw new UserErrorException("This build has no ILGPU; run dotnet restore kernels-ilgpu -p:UseIlgpu=true, build again, then make the bundle.");
        }

        if (Directory.Exists(folder) && Directory.EnumerateFileSystemEntries(folder).Any())
        {
            throw new UserErrorException($"--bundle {folder} is not empty; name a new folder.");
        }

        CopyProgram(Path.Combine(AppContext.BaseDirectory, "Bench.dll"), Path.Combine(folder, "bench"));
        CopyProgram(tests, Path.Combine(folder, "tests", GpuTestPart.Project));
        CopyFixtures(tests, folder);
        CopyRuntime(Path.Combine(folder, "dotnet"));
        string run = Path.Combine(folder, "run");
        File.WriteAllText(run, Script.ReplaceLineEndings("\n") + "\n");
        MakeExecutable(run);
        long bytes = Pack(folder);
        Report.Line($"{folder}, and packed {ConsoleTable.Bytes(bytes)} in {Archive(folder)}; there: tar -xzf {Path.GetFileName(Archive(folder))} && {Path.GetFileName(Path.GetFullPath(folder))}/run");
        return bytes <= Limit
            ? ToolProgram.Success
            : throw new UserErrorException($"The archive has {ConsoleTable.Bytes(bytes)}, allowed {ConsoleTable.Bytes(Limit)}; build with -c Release, or leave out fixtures.");
    }

    /// <summary>A program with all libraries that it refers to, directly or through others.</summary>
    private static void CopyProgram(string program, string target)
    {
        string source = Path.GetDirectoryName(program)!;
        Directory.CreateDirectory(target);
        HashSet<string> seen = new(StringComparer.Ordinal);
        Queue<string> waiting = new([Path.GetFileNameWithoutExtension(program)]);

        // xunit's runner is found by name, not by reference.
        foreach (string runner in Directory.EnumerateFiles(source, "xunit*.dll"))
        {
            waiting.Enqueue(Path.GetFileNameWithoutExtension(runner));
        }

        while (waiting.TryDequeue(out string? name))
        {
            string path = Path.Combine(source, $"{name}.dll");
            if (name == LeftOut || !seen.Add(name) || !File.Exists(path))
            {
                continue;
            }

            File.Copy(path, Path.Combine(target, $"{name}.dll"));
            foreach (string reference in References(path))
            {
                waiting.Enqueue(reference);
            }
        }

        string settings = Path.ChangeExtension(program, ".runtimeconfig.json");
        File.Copy(settings, Path.Combine(target, Path.GetFileName(settings)));
    }

    private static IEnumerable<string> References(string path)
    {
        using FileStream stream = File.OpenRead(path);
        using PEReader file = new(stream);
        if (!file.HasMetadata)
        {
            return [];
        }

        MetadataReader metadata = file.GetMetadataReader();
        return [.. metadata.AssemblyReferences.Select(handle => metadata.GetString(metadata.GetAssemblyReference(handle).Name))];
    }

    /// <summary>The tests look for their fixtures below the folder of the solution.</summary>
    private static void CopyFixtures(string tests, string folder)
    {
        for (DirectoryInfo? root = new(Path.GetDirectoryName(tests)!); root is not null; root = root.Parent)
        {
            if (File.Exists(Path.Combine(root.FullName, Marker)))
            {
                CopyFolder(Path.Combine(root.FullName, "tests", "Fixtures"), Path.Combine(folder, "tests", "Fixtures"), _ => true);
                File.WriteAllText(Path.Combine(folder, Marker), "");
                return;
            }
        }
    }

    private static void CopyRuntime(string target)
    {
        string version = Path.GetFileName(RuntimeFolder);
        string root = Path.GetFullPath(Path.Combine(RuntimeFolder, "..", "..", ".."));

        // What debuggers alone load is a fifth of it.
        CopyFolder(
            RuntimeFolder,
            Path.Combine(target, "shared", "Microsoft.NETCore.App", version),
            name => !name.StartsWith("libmscordaccore", StringComparison.Ordinal) && !name.StartsWith("libmscordbi", StringComparison.Ordinal));
        CopyFolder(Path.Combine(root, "host", "fxr", version), Path.Combine(target, "host", "fxr", version), _ => true);
        string program = Path.Combine(target, "dotnet");
        File.Copy(Path.Combine(root, "dotnet"), program);
        MakeExecutable(program);
    }

    private static void CopyFolder(string source, string target, Func<string, bool> takes)
    {
        Directory.CreateDirectory(target);
        foreach (string file in Directory.EnumerateFiles(source).Where(file => takes(Path.GetFileName(file))))
        {
            File.Copy(file, Path.Combine(target, Path.GetFileName(file)));
        }

        foreach (string folder in Directory.EnumerateDirectories(source))
        {
            CopyFolder(folder, Path.Combine(target, Path.GetFileName(folder)), takes);
        }
    }

    private static void MakeExecutable(string path)
    {
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(path, Executable);
        }
    }

    private static string Archive(string folder) => Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder)) + ".tar.gz";

    private static long Pack(string folder)
    {
        using (FileStream file = File.Create(Archive(folder)))
        {
            using GZipStream packed = new(file, CompressionLevel.SmallestSize);
            TarFile.CreateFromDirectory(folder, packed, includeBaseDirectory: true);
        }

        return new FileInfo(Archive(folder)).Length;
    }
}
